"""Sums that never go backwards, of processes that come, change their names and go.

What a process moved between two looks is added once to each family of sums: that of the process
itself, and those of its cgroup, program and user, which stay when it has gone. No family has more
than a fixed number of members; what finds no place of its own is added to `other`. So the
increases of a family always add up to those of the whole. The family of selectors alone does not:
a process that several want is in the sums of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from netioctl.answers import Held, Process
from netioctl.exporter.origins import Choice
from netioctl.procfs import NOWHERE, Place
from netioctl.render.words import printable

#: The label of what has no place of its own.
OTHER = "other"
#: Seconds after which it is known at the latest that a selector has chosen a process.
SETTLE = 2.0
#: Seconds for which a process is remembered that is not listed any more: a successor of the
#: daemon's broker may not know of it until its viewers have come back.
REMEMBERED = 60.0

Key = tuple[str, ...]
NOTHING_CHOSEN = Choice()


class Counters(NamedTuple):
    """Bytes, operations, and live events that were lost to viewers (never to counters)."""

    sent_bytes: int = 0
    received_bytes: int = 0
    send_operations: int = 0
    receive_operations: int = 0
    lost_events: int = 0


ZERO = Counters()


def plus(left: Counters, right: Counters) -> Counters:
    """left + right, counter by counter."""
    return Counters(*(a + b for a, b in zip(left, right)))


def minus(left: Counters, right: Counters) -> Counters:
    """left - right, counter by counter, and nothing below 0."""
    return Counters(*(max(0, a - b) for a, b in zip(left, right)))


class _Known:
    """A process as it was when it was last looked at."""

    def __init__(self) -> None:
        self.attached: int | None = None
        self.last = ZERO
        self.place = NOWHERE
        self.labels: Key = ()
        #: What was added to the process's own sums, under the labels that it has.
        self.own = ZERO
        self.seen = 0.0
        #: Labels of the selectors that have wanted it; and of those of which that is new, what
        #: counts for them now.
        self.selectors: set[str] = set()
        self.fresh: dict[str, Counters] = {}
        #: What it had moved at the looks of the last SETTLE seconds, and at the one before these.
        self.looks: list[tuple[float, Counters]] = []

    def choose(self, since: Mapping[str, float], value: Counters, now: float) -> None:
        """Take in which selectors want it, since when that is known, and what it has moved."""
        self.fresh = {
            label: minus(value, self._by(at - SETTLE))
            for label, at in since.items()
            if label not in self.selectors
        }
        self.selectors.update(self.fresh)
        self.looks.append((now, value))
        while len(self.looks) > 1 and self.looks[1][0] <= now - SETTLE:
            del self.looks[0]

    def _by(self, moment: float) -> Counters:
        return next((value for at, value in reversed(self.looks) if at <= moment), ZERO)


class Group:
    """Sums by key, of at most `most` keys and OTHER."""

    def __init__(self, most: int) -> None:
        self._most = most
        #: Those that moved something last are last.
        self.sums: dict[Key, Counters] = {}

    def add(self, key: Key, more: Counters, present: set[Key]) -> None:
        """Add to the sums of `key`; none of `present` makes room for it."""
        if key not in self.sums and not self._room(present):
            key = (OTHER,) + ("",) * (len(key) - 1)
        self.sums[key] = plus(self.sums.get(key, ZERO), more)
        if any(more):
            self.sums[key] = self.sums.pop(key)

    def _room(self, present: set[Key]) -> bool:
        if sum(key[0] != OTHER for key in self.sums) < self._most:
            return True
        idle = next((key for key in self.sums if key[0] != OTHER and key not in present), None)
        if idle is not None:
            del self.sums[idle]
        return idle is not None


class Accounts:
    """All families; at most `most` processes, cgroups, programs and users have their own."""

    def __init__(
        self,
        most: int,
        user: Callable[[int], str],
        place: Callable[[Held], Place],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`user` names a uid, `place` says where a process belongs, `now` counts seconds."""
        self._most = most
        self._user, self._place, self._now = user, place, now
        self._known: dict[tuple[int, int], _Known] = {}
        #: By (pid, comm, user, cgroup, unit): of those that are listed. Falls where labels change.
        self.processes: dict[Key, Counters] = {}
        self.other = ZERO
        self.cgroups, self.programs, self.users = Group(most), Group(most), Group(most)
        self.selectors = Group(most)
        self.total = ZERO

    def take(self, rows: Iterable[Held], choice: Choice = NOTHING_CHOSEN) -> None:
        """Add what has been moved since the last time, as rows of `list` have it."""
        now = self._now()
        looked = [(row, *self._look(row, now, choice)) for row in rows]
        self._forget(now)
        cgroups = {known.labels[3:] for _, known, _ in looked}
        programs = {known.labels[1:2] for _, known, _ in looked}
        users = {known.labels[2:3] for _, known, _ in looked}
        for _, known, more in looked:
            self.total = plus(self.total, more)
            self.cgroups.add(known.labels[3:], more, cgroups)
            self.programs.add(known.labels[1:2], more, programs)
            self.users.add(known.labels[2:3], more, users)
        selectors: set[Key] = {(label,) for label in choice.labels}
        for label in choice.labels:
            # From zero on, so that the first bytes are an increase.
            self.selectors.add((label,), ZERO, selectors)
        for _, known, more in looked:
            for label in known.selectors.intersection(choice.labels):
                self.selectors.add((label,), known.fresh.get(label, more), selectors)
        # Those that live first, then by traffic.
        looked.sort(key=lambda each: (each[0].exited is not None, -sum(each[1].last[:2])))
        self.processes = {}
        for _, known, more in looked[: self._most]:
            known.own = plus(known.own, more)
            self.processes[known.labels] = known.own
        for _, _, more in looked[self._most :]:
            self.other = plus(self.other, more)

    def _look(self, row: Held, now: float, choice: Choice) -> tuple[_Known, Counters]:
        process = row.process
        value = Counters(*row.total, process.lost or 0)
        known = self._known.get((process.pid, process.start))
        if known is None:
            known = self._known[process.pid, process.start] = _Known()
        if known.attached != process.attached:
            # Its counters began at zero when it was attached anew.
            known.attached, known.last = process.attached, ZERO
            known.looks = []
        more = minus(value, known.last)
        known.last = value
        if not known.labels or (row.exited is None and any(more)):
            place = self._place(row)
            known.place = known.place if place == NOWHERE else place
        known.choose(choice.of(row), value, now)
        labels = self._labels(process, known.place)
        if labels != known.labels:
            # Bytes stay with the name under which they were moved.
            known.labels, known.own = labels, ZERO
        known.seen = now
        return known, more

    def _labels(self, process: Process, place: Place) -> Key:
        texts = (process.comm, self._user(process.uid), *place)
        return (str(process.pid), *map(printable, texts))

    def _forget(self, now: float) -> None:
        gone = [key for key, each in self._known.items() if now - each.seen > REMEMBERED]
        for key in gone:
            del self._known[key]
