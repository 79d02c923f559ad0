"""Sees when a process that is held becomes another user's: then its owner of before is let go.

Nothing in the kernel tells of every change of uids. What is looked at is /proc, at these times:
before each frame that goes to someone who is no operator; when the process has a new name, which
every execve(2) gives it, and once more a moment later, since the uids of a set-uid program come
after its name; once a second; and when a request names the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from netiod import policy, processes
from netiod.holding import Holding

#: Seconds after a new name at which uids are looked at again.
_LATER = 0.02


class Guard:
    """`revoke` is called with each holding whose process has become another user's."""

    def __init__(self, revoke: Callable[[Holding], None]) -> None:
        self._revoke = revoke
        self._suspects: dict[Holding, float] = {}

    def unchanged(self, holding: Holding) -> bool:
        """Whether the process is still its owner's as far as one cheap look tells.

        The owner of /proc/PID is the effective uid, or root once that has changed. A new real or
        saved uid alone, which takes CAP_SETUID, is left to verify().
        """
        if holding.uids is None:
            return False
        owner = processes.owner(holding.pid)
        if owner is None or owner == holding.uids[1]:
            return True
        return self.verify(holding)

    def verify(self, holding: Holding) -> bool:
        """Whether its uids are those that it had when it was attached; revokes it if not."""
        if holding.uids is None:
            return False
        found = processes.uids(holding.pid)
        if found is None or found == holding.uids or not self._same(holding):
            # Gone, or its number is another's already: its exit will be told.
            return True
        holding.uids = None
        self._suspects.pop(holding, None)
        self._revoke(holding)
        return False

    def renamed(self, holding: Holding) -> None:
        """It has a new name: perhaps by running a set-uid program."""
        if holding.uids is not None and self.verify(holding):
            self._suspects[holding] = time.monotonic() + _LATER

    def deadline(self) -> float | None:
        """When look() has something to do (monotonic seconds)."""
        return next(iter(self._suspects.values()), None)

    def look(self, now: float) -> None:
        """Look again at those with a new name."""
        for holding, due in list(self._suspects.items()):
            if due > now:
                break
            del self._suspects[holding]
            if holding.exited is None:
                self.verify(holding)

    def _same(self, holding: Holding) -> bool:
        start = processes.start(holding.pid)
        return start is None or start == holding.start


def allowed(holding: Holding, caller: policy.Caller) -> bool:
    """Whether `caller` may see this holding, by the uids that it is known to have."""
    if caller.operator:
        return True
    return holding.uids is not None and policy.owned(caller, holding.uids)
