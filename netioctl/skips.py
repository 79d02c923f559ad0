"""The sum of what a watch skips, and of what was lost where it skips."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from netioctl import stats
from netioctl.answers import Totals
from netioctl.render.columns import event_fields

if TYPE_CHECKING:
    from netioctl.render.events import Drawer
    from netioctl.stream import Events


class Skips:
    """Takes instead of printing; `draw` has what is to be said of it, until that is `told`."""

    def __init__(self) -> None:
        self._fields = event_fields("time", "bytes", "dir")
        #: Events skipped so far.
        self.events = 0
        #: What is not told yet.
        self._untold = self._escaped = 0
        self._lost: Counter[str] = Counter()
        self._totals = Totals()
        self._times: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._untold or self._lost or self._escaped)

    def skip(self, item: Events) -> None:
        """Count these events instead of showing them."""
        rows, send_ops, sent, recv = self._fields, 0, 0, 0
        for _time, size, dir_ in rows.iter_unpack(item.data):
            if dir_:
                recv += size
            else:
                sent += size
                send_ops += 1
        more = Totals(sent, recv, send_ops, item.number - send_ops)
        self._totals = stats.add(self._totals, more)
        self.events += item.number
        self._untold += item.number
        first = rows.unpack_from(item.data)[0]
        last = rows.unpack_from(item.data, (item.number - 1) * rows.size)[0]
        times = (*self._times, first, last)
        self._times = [min(times), max(times)]

    def lost(self, stage: str, events: int) -> None:
        """Events that were lost among those that are skipped."""
        self._lost[stage] += events

    def escaped(self, operations: int) -> None:
        """Operations that escaped the hooks meanwhile."""
        self._escaped += operations

    def draw(self, drawer: Drawer) -> str:
        """What has been skipped and lost and is not told yet."""
        from netioctl.stream import Lost

        text = ""
        if self._untold:
            text += drawer.skipped((self._times[1] - self._times[0]) / 1e9, self._totals)
        text += "".join(drawer.lost(Lost(0, n, stage)) for stage, n in self._lost.items())
        text += drawer.missed(self._escaped) if self._escaped else ""
        return text

    def told(self) -> None:
        """Begin anew."""
        self._untold = self._escaped = 0
        self._lost.clear()
        self._totals, self._times = Totals(), []
