"""What the exporter itself has counted: PIDs and selectors that were asked for."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable

from netioctl import procfs
from netioctl.answers import Failure, Held, Process
from netioctl.client import Client
from netioctl.output import say
from netioctl.session import Session
from netioctl.targets import Targets
from netioctl.watching import Began
from netioctl.wire.errors import NetioError

#: Seconds between two attempts to reach a daemon that is away.
RETRY = 1.0
#: Processes that are remembered as chosen; the daemon remembers fewer that have exited.
MOST = 100_000


class Lease:
    """Holds `targets` until it is closed, with this daemon and those after it.

    For one thread; others may only call chose() and place().
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
        self._poll = select.poll()
        self._poll.register(wake, select.POLLIN)
        self._client: Client | None = None
        self._session: Session | None = None
        #: PID to start of those that were given, once they have been held.
        self._given: dict[int, int] | None = None
        self._done = not (targets.pids or targets.selectors)
        self._retry = 0.0
        self._trouble: str | None = None
        #: Where each belonged at first: it may be gone when the daemon is asked.
        self._chosen: dict[tuple[int, int], procfs.Place] = {}

    def chose(self, row: Held) -> bool:
        """Whether a row of `list` is one of ours."""
        return (row.process.pid, row.process.start) in self._chosen

    def place(self, row: Held) -> procfs.Place:
        """Where a process belongs, also of one of ours that has exited."""
        found = procfs.place(row.process.pid) if row.exited is None else procfs.NOWHERE
        if found != procfs.NOWHERE:
            return found
        return self._chosen.get((row.process.pid, row.process.start), found)

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
        self._client = self._connect()
        session = self._session = Session(self._client, targets, stream=False, totals=False)
        session.attach()
        session.open()
        session.register(self._wake, select.POLLIN)
        if self._given is None:
            self._report(session.errors)
            pids = set(targets.pids)
            self._given = {p.pid: p.start for p in session.watched if p.pid in pids}
        for process in session.watched:
            self._choose(process)
        return bool(session.watched or targets.selectors)

    def turn(self, seconds: float) -> None:
        """Wait for `wake`, at most so long, and take in what happens meanwhile."""
        try:
            if self._session is None and not self._done and time.monotonic() >= self._retry:
                self.begin()
                self._trouble = None
            session = self._session
            if session is None:
                self._poll.poll(1000 * (seconds if self._done else min(seconds, RETRY)))
                return
            session.wait(seconds)
            for item in session.read():
                if isinstance(item, Began):
                    self._choose(item.process)
            if session.ended and not self._targets.selectors:
                self._done = True
                self.close()
        except NetioError as error:
            self.close()
            if self._trouble is None:
                say(f"netioctl: {error}\nwhat was asked for is held again when netiod is back")
            self._trouble = str(error)

    def close(self) -> None:
        """Let go of all."""
        if self._session is not None:
            self._session.__exit__(None, None, None)
            self._session = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _choose(self, process: Process) -> None:
        self._chosen[process.pid, process.start] = procfs.place(process.pid)
        while len(self._chosen) > MOST:
            del self._chosen[next(iter(self._chosen))]
