"""Rates of one row, from differences of its counters."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from netioctl.answers import Totals
from netioctl.stats import minus

#: Rates that are kept for a sparkline.
HISTORY = 60


class Rates(NamedTuple):
    """What Totals counts, for each second."""

    sent_bytes: float = 0.0
    recv_bytes: float = 0.0
    send_ops: float = 0.0
    recv_ops: float = 0.0

    @property
    def bytes(self) -> float:
        """Bytes in both directions."""
        return self.sent_bytes + self.recv_bytes

    @property
    def ops(self) -> float:
        """Operations in both directions."""
        return self.send_ops + self.recv_ops


_NONE = Rates()
_ZERO = Totals()


class Meter:
    """Counters as they were read last, and how fast they grew until then."""

    __slots__ = ("_at", "history", "rates", "total")

    def __init__(self) -> None:
        self.total = _ZERO
        #: None: the counters were read but once, and nobody knows when they were zero.
        self.rates: Rates | None = None
        #: Bytes a second in both directions, the latest last; None: there never were any.
        self.history: deque[float] | None = None
        self._at: float | None = None

    def read(
        self, total: Totals, now: float, zero: float | None = None, *, anew: bool = False
    ) -> None:
        """Take in counters that were read at `now`.

        `zero`: at that time they were zero, or it was as good as then. Both in seconds of the
        same monotonic clock. `anew`: they began anew since they were read last, as they did where
        they are smaller.
        """
        before, at = self.total, self._at
        if at is None or anew or min(minus(total, before)) < 0:
            before, at = _ZERO, at if zero is None else zero
        self.total, self._at = total, now
        seconds = 0.0 if at is None else now - at
        if seconds <= 0:
            return
        grown = minus(total, before)
        self._show(_NONE if grown == _ZERO else Rates(*(count / seconds for count in grown)))

    def quiet(self, now: float) -> None:
        """Nothing was counted until `now`."""
        if self._at is None or now > self._at:
            self._at = now
            self._show(_NONE)

    @property
    def idle(self) -> bool:
        """Whether there was nothing for as long as rates are kept."""
        return not self.history or not any(self.history)

    def _show(self, rates: Rates) -> None:
        self.rates = rates
        # Most of ten thousand rows are quiet: those need none.
        if self.history is None and rates.bytes:
            self.history = deque(maxlen=HISTORY)
        if self.history is not None:
            self.history.append(rates.bytes)
