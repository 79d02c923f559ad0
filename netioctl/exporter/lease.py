"""What the exporter itself has counted: PIDs and selectors that were asked for."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from netioctl import procfs
from netioctl.answers import Failure, Held, Process
from netioctl.client import Client
from netioctl.exporter.origins import NONE, Choice, label_of
from netioctl.output import say
from netioctl.session import Session
from netioctl.targets import Targets
from netioctl.watching import Began
from netioctl.wire.errors import NetioError

#: Seconds between two attempts to reach a daemon that is away.
RETRY = 1.0
#: Processes that are remembered as chosen; the daemon remembers fewer that have exited.
MOST = 100_000


class _Chosen(NamedTuple):
    """Where a process belonged at first, which may be gone when the daemon is asked; and the
    labels of the selectors that chose it, with the time when that was told (monotonic seconds)."""

    place: procfs.Place
    selectors: Mapping[str, float] = NONE


class _Part(NamedTuple):
    """A connection for what one selector chooses, or, without `label`, for PIDs: so the daemon
    tells which of them chose a process."""

    label: str | None
    client: Client
    session: Session


class Lease:
    """Holds `targets` until it is closed, with this daemon and those after it.

    For one thread; others may only call chose() and place(), and what `choice` has.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        targets: Targets,
        wake: int,
        report: Callable[[Iterable[Failure]], object],
    ) -> None:
        """turn() returns when `wake` is readable; `report` is told of PIDs that cannot be had."""
        self._connect, self._targets = connect, targets
        self._wake, self._report = wake, report
        self._parts: list[_Part] = []
        #: PID to start of those that were given, once they have been held.
        self._given: dict[int, int] | None = None
        self._done = not (targets.pids or targets.selectors)
        self._retry = 0.0
        self._trouble: str | None = None
        self._chosen: dict[tuple[int, int], _Chosen] = {}
        #: Our selectors.
        labels = dict.fromkeys(label_of(selector) for selector in targets.selectors)
        self.choice = Choice(tuple(labels), self._choosers)

    def chose(self, row: Held) -> bool:
        """Whether a row of `list` is one of ours."""
        return (row.process.pid, row.process.start) in self._chosen

    def place(self, row: Held) -> procfs.Place:
        """Where a process belongs, also of one of ours that has exited."""
        found = procfs.place(row.process.pid) if row.exited is None else procfs.NOWHERE
        if found != procfs.NOWHERE:
            return found
        return self._chosen.get((row.process.pid, row.process.start), _Chosen(found)).place

    def _choosers(self, row: Held) -> Mapping[str, float]:
        known = self._chosen.get((row.process.pid, row.process.start))
        return NONE if known is None else known.selectors

    def begin(self) -> bool:
        """Take the lease, or take it anew; whether there is one, or can still be one.

        Raises:
            NetioError: the daemon is away, or refuses.
        """
        self.close()
        self._retry = time.monotonic() + RETRY
        targets = self._targets
        if self._given is not None:
            # A PID means the process that had it when it was first held.
            same = (pid for pid, begun in self._given.items() if procfs.start(pid) == begun)
            targets = targets._replace(pids=tuple(same))
        self._done = not (targets.pids or targets.selectors)
        if self._done:
            return False
        try:
            return self._attach(targets)
        except NetioError:
            self.close()
            raise

    def _attach(self, targets: Targets) -> bool:
        if targets.pids:
            session = self._part(None, targets._replace(selectors=()))
            if self._given is None:
                self._report(session.errors)
                pids = set(targets.pids)
                self._given = {p.pid: p.start for p in session.watched if p.pid in pids}
            for process in session.watched:
                self._choose(process, None)
        for label in self.choice.labels:
            same = tuple(each for each in targets.selectors if label_of(each) == label)
            self._part(label, targets._replace(pids=(), selectors=same))
        self._given = self._given or {}
        return any(part.session.expects for part in self._parts)

    def _part(self, label: str | None, targets: Targets) -> Session:
        client = self._connect()
        session = Session(client, targets, stream=False, totals=False)
        self._parts.append(_Part(label, client, session))
        session.attach()
        session.open()
        return session

    def turn(self, seconds: float) -> None:
        """Wait for `wake`, at most so long, and take in what happens meanwhile."""
        try:
            if not self._parts and not self._done and time.monotonic() >= self._retry:
                self.begin()
                self._trouble = None
            self._wait(seconds if self._parts or self._done else min(seconds, RETRY))
            for part in self._parts:
                for item in part.session.read():
                    if isinstance(item, Began):
                        self._choose(item.process, part.label)
            if self._parts and all(part.session.ended for part in self._parts):
                self._done = True
                self.close()
        except NetioError as error:
            self.close()
            if self._trouble is None:
                say(f"netioctl: {error}\nwhat was asked for is held again when netiod is back")
            self._trouble = str(error)

    def _wait(self, seconds: float) -> None:
        poll, due = select.poll(), [seconds]
        poll.register(self._wake, select.POLLIN)
        for part in self._parts:
            for descriptor in part.session.descriptors():
                poll.register(descriptor, select.POLLIN)
            if (each := part.session.due()) is not None:
                due.append(each)
        poll.poll(1000 * min(due))

    def close(self) -> None:
        """Let go of all."""
        for part in self._parts:
            part.session.__exit__(None, None, None)
            part.client.close()
        self._parts.clear()

    def _choose(self, process: Process, label: str | None) -> None:
        key = process.pid, process.start
        place = procfs.place(process.pid)
        known = self._chosen.pop(key, _Chosen(place))
        new = {} if label is None else {label: time.monotonic()}
        self._chosen[key] = known._replace(selectors={**new, **known.selectors})
        while len(self._chosen) > MOST:
            del self._chosen[next(iter(self._chosen))]
