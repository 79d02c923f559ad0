"""Processes that were held and have exited: their totals stay for a while.

Of some the kernel side knows the exit, and the broker nothing else yet: the word of their being
chosen, which has their name, may still be to come.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from netiod.holding import Holding

#: Seconds that the totals of a process stay after its exit.
KEEP_EXITED = 600.0
#: Seconds that the word of what has happened to a process may take.
SETTLE = 1.0


class Exited:
    """By PID, the latest of each; `most` of one uid: nobody's push out another's."""

    def __init__(self, most: int, most_of_root: int) -> None:
        self._most, self._most_of_root = most, most_of_root
        self._by_pid: dict[int, Holding] = {}
        self._by_uid: dict[int, deque[Holding]] = {}
        #: time.monotonic() until which each is kept: the time of day may step.
        self._until: dict[Holding, float] = {}
        self._unnamed: dict[tuple[int, int], Holding] = {}
        self._unnamed_until = 0.0

    def get(self, pid: int) -> Holding | None:
        """The latest of that number."""
        return self._by_pid.get(pid)

    def values(self) -> list[Holding]:
        """All, by PID."""
        return [holding for _, holding in sorted(self._by_pid.items())]

    def add(self, holding: Holding) -> list[Holding]:
        """Take one in; those that are to be forgotten for it."""
        before = self._by_pid.get(holding.pid)
        if before is not None:
            self._by_uid[before.uid].remove(before)
            del self._until[before]
        age = time.time() - holding.exited if holding.exited is not None else 0.0
        self._until[holding] = time.monotonic() + KEEP_EXITED - max(age, 0.0)
        self._by_pid[holding.pid] = holding
        own = self._by_uid.setdefault(holding.uid, deque())
        own.append(holding)
        gone = [before] if before is not None else []
        if len(own) > (self._most if holding.uid else self._most_of_root):
            oldest = own.popleft()
            del self._by_pid[oldest.pid], self._until[oldest]
            gone.append(oldest)
        return gone

    def expire(self) -> Iterator[Holding]:
        """Take out what has been here for KEEP_EXITED."""
        now = time.monotonic()
        for uid, own in list(self._by_uid.items()):
            while own and now > self._until[own[0]]:
                oldest = own.popleft()
                del self._by_pid[oldest.pid], self._until[oldest]
                yield oldest
            if not own:
                del self._by_uid[uid]

    def await_name(self, holding: Holding) -> None:
        """Take in one that has no name yet: named() takes it out."""
        self._unnamed.setdefault((holding.pid, holding.start), holding)
        self._unnamed_until = time.monotonic() + SETTLE

    def named(self, pid: int, start: int) -> None:
        """The word of it has come: it is taken in once more when it is held."""
        self._unnamed.pop((pid, start), None)

    def settle(self) -> Iterator[Holding]:
        """Keep those whose word does not come; gives what is to be forgotten for them."""
        if self._unnamed and time.monotonic() > self._unnamed_until:
            for holding in self._unnamed.values():
                yield from self.add(holding)
            self._unnamed.clear()
