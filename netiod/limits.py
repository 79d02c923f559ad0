"""What one user may take: the numbers, and how a rate is kept.

docs/OPERATIONS.md says what each is for. uid 0 is exempt from all that are per uid.
"""

from __future__ import annotations

from collections import Counter

from netioctl.wire.errors import LimitReached
from netiod.policy import Caller

#: Connections of one uid, of all, and of these the last that only operators get.
CONNECTIONS_A_UID, CONNECTIONS, RESERVED = 128, 4096, 64
#: Requests of one uid a second, and how many at once; each PID in a request counts as one, and
#: so does each COST seconds of work.
REQUESTS_A_SECOND, REQUESTS_AT_ONCE = 2000.0, 4000.0
COST = 125e-6
#: Rows of answers that one uid has asked for and not read yet.
ROWS_A_UID = 100_000
#: The share of --max-pids that one uid may hold, and how many it may hold in any case.
HELD_SHARE, HELD_LEAST = 4, 16


class Bucket:
    """A rate (a second) with a `burst`: takes are allowed while something is in it."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at = float(burst), now

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost`; False, and nothing is taken, if less than that is there."""
        self._fill(now)
        if self._level < cost:
            return False
        self._level -= cost
        return True

    def charge(self, cost: float) -> None:
        """Take `cost` even if that leaves a debt."""
        self._level -= cost

    def wait(self, now: float) -> float:
        """Seconds until there is no debt; 0: none."""
        self._fill(now)
        return max(0.0, -self._level / self._rate)

    def full(self, now: float) -> bool:
        """Whether nothing was taken for long."""
        self._fill(now)
        return self._level >= self._burst

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now


class Held:
    """How many processes each uid holds; one counts for each connection that watches it, and
    once more where it was added."""

    def __init__(self, max_pids: int) -> None:
        self.most = max(HELD_LEAST, max_pids // HELD_SHARE)
        self._counts: Counter[int] = Counter()

    def check(self, caller: Caller) -> None:
        """Whether `caller` may hold one more.

        Raises:
            LimitReached: no.
        """
        if not caller.operator and self._counts[caller.uid] >= self.most:
            raise LimitReached(
                f"uid {caller.uid} holds {self.most:,} processes, the most that one user may "
                "(a quarter of netiod --max-pids): end a watch or remove some"
            )

    def share(self, uid: int) -> float:
        """How much `uid` holds of what it may: 1.0 is all."""
        return self._counts[uid] / self.most

    def add(self, uid: int, more: int) -> None:
        """`uid` holds `more` than before; -1: one less."""
        self._counts[uid] += more
        if self._counts[uid] <= 0:
            del self._counts[uid]
