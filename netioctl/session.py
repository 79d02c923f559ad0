"""A watch from beginning to end: lease, stream, exits, and the totals of just this watch.

with Client() as client, Session(client, [1234]) as session:
    session.attach()
    session.open()
    while not session.ended:
        session.wait(None)
        for item in session.read():
            ...
    print(session.summary().total)

Where the daemon's broker or gate dies meanwhile, the watch goes on with the next: see outage.py.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from netioctl.answers import Held, Summary, Totals
from netioctl.client import Client
from netioctl.feed import Feed, connection
from netioctl.leasing import Leasing
from netioctl.polled import Polled
from netioctl.targets import Targets, names
from netioctl.watching import LAST_EVENTS, Item
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import ConnectionLost

if TYPE_CHECKING:
    from types import TracebackType


class Session(Polled, Leasing):
    """Watches `targets`, or just PIDs; without `stream`, only their exits and totals.

    `totals`: whether summary() will be asked. `failed`: operations that fail are events, too;
    their `error` is an errno, and they moved no bytes. Raised is what the client raises; besides,
    DaemonUnreachable where the stream stays silent.
    """

    #: What it does, and what could not be read: as Replay has them.
    verb = "watching"
    problems: Sequence[str] = ()

    def __init__(
        self,
        client: Client,
        targets: Targets | Sequence[int],
        *,
        stream: bool = True,
        totals: bool = True,
        failed: bool = False,
    ) -> None:
        super().__init__(client, targets, stream=stream, totals=totals, failed=failed)
        #: Before the first event, nanoseconds since the epoch.
        self.began = time.time_ns()
        self._finished = False

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._feed is not None:
            self._feed.close()

    def attach(self) -> None:
        """Take the lease; `watched` and `errors` say for which processes that went well."""
        if self._want_stream:
            self._feed = Feed(
                self._poll,
                self._client.server.layout,
                grows=self._targets.grows,
                failed=self._want_failed,
            )
        answer = self._lease(self._targets.pids)
        self.watched, self.errors = answer.processes, answer.errors
        self.living = {process.pid: process for process in self.watched}
        self._known = {(process.pid, process.start) for process in self.watched}
        # Counters of what was attached just now began at zero: those are exact from the first
        # byte. Others had counted before.
        earlier = [process.pid for process in self.watched if not process.fresh]
        needed = bool(earlier and self._want_totals)
        self._tally.begin(answer.missed, self._client.summary(earlier) if needed else None)
        self._poll.register(self._client, select.POLLIN)
        if self._feed is not None and answer.endpoint:
            self._feed.reader.follow(self.watched)
            self._feed.lease(answer.endpoint, self.watched, answer.epoch, answer.replaced)

    @property
    def named(self) -> str:
        """What is watched, in the words of people: `1234 (curl), --name nginx`."""
        labels = dict.fromkeys(selector.label for selector in self._targets.selectors)
        return ", ".join(filter(None, (names(self.watched), *labels)))

    @property
    def expects(self) -> bool:
        """Whether there is something to watch, or may be."""
        return bool(self.watched or self._targets.selectors)

    def open(self) -> None:
        """Wait until the stream of each process has begun."""
        try:
            self._synchronise(self._pending)
        except ConnectionLost:
            self._interrupt()
            for items in self._mend():
                self._pending += items

    def wait(self, seconds: float | None) -> set[int]:
        """Wait for something to read, at most so long; the descriptors that are ready."""
        due = self.due()
        ends = [each for each in (seconds, due) if each is not None]
        return self._ready(min(ends) if ends else None)

    def due(self) -> float | None:
        """Seconds after which read() is wanted though nothing is readable; None: never."""
        now = time.monotonic()
        ends = [leaving.until for leaving in self._leaving.values()]
        if self._pending or (self._feed is not None and self._feed.more):
            ends.append(now)
        if self._outage is not None:
            ends.append(now if self._outage.link is None else self._outage.link.due)
        return max(0.0, min(ends) - now) if ends else None

    def descriptors(self) -> tuple[int, ...]:
        """For another loop than wait()'s: readable when read() has something, until it is called.

        Ask again after each read().
        """
        feed = -1 if self._feed is None else self._feed.fileno()
        return tuple(fd for fd in (self._client.fileno(), feed) if fd >= 0)

    def read(self) -> list[Item]:
        """What has come, in order; the same process's Gone after its last events."""
        items, self._pending = self._pending, []
        try:
            self._turn(items)
        except ConnectionLost:
            self._interrupt()
        if self._outage is not None:
            self._repair(self._outage, items)
        if self._outage is None:
            for leaving in list(self._leaving.values()):
                self._see_off(leaving, items)
        return items

    def finish(self) -> Iterator[list[Item]]:
        """What happened before now and has not been read yet; waits LAST_EVENTS for it at most,
        and for a daemon that is away as long as read() does.
        """
        # What asked for the end is ready all the time.
        self._unregister_all()
        end: float | None = None
        while True:
            yield from self._mend()
            if self._targets.grows:
                yield from self._chosen_by_now()
            if self._feed is None or not (self.living or self._leaving):
                return
            end = time.monotonic() + LAST_EVENTS if end is None else end
            try:
                published = self._client.sync(list(self.living))
            except ConnectionLost:
                self._interrupt()
                continue
            while self._outage is None:
                # At least once: the daemon may have told something before it answered.
                yield self.read()
                left = end - time.monotonic()
                expected = {pid: self._feed.reader.expected(pid) or 0 for pid in self.living}
                there = all(n >= published.get(pid, 0) for pid, n in expected.items())
                if there and not self._leaving:
                    return
                if left <= 0:
                    for leaving in self._leaving.values():
                        leaving.until = 0.0
                    yield self.read()
                    return
                self.wait(left)

    @property
    def ended(self) -> bool:
        """Whether no process is left, none is waited for, and read() has returned all."""
        if self._targets.selectors:
            return False
        return not (self.living or self._leaving or self._pending or self._outage)

    @property
    def generation(self) -> int:
        """Grows when connection() may answer otherwise than before for the same id."""
        return 0 if self._feed is None else self._feed.reader.generation

    def connection(self, ident: int) -> Connection:
        """The connection that an event's id means, or UNKNOWN."""
        return connection(self._feed, ident)

    def summary(self) -> Summary:
        """What was counted since this watch began."""
        while True:
            for _items in self._mend():
                pass
            if self._targets.grows and not self._finished:
                for _items in self._chosen_by_now():
                    pass
            if (counted := self.counters()) is not None:
                return counted

    def counters(self) -> Summary | None:
        """The same in the midst of a watch; None while the daemon is away, which read() mends."""
        if self._outage is not None:
            return None
        try:
            living = self._client.summary(list(self.living)) if self.living else None
        except ConnectionLost:
            self._interrupt()
            return None
        return self._tally.result(living, self.watched)

    def held(self) -> tuple[Held, ...] | None:
        """Counters since each process was attached, also of others; None: the daemon is away."""
        if self._outage is not None:
            return None
        try:
            return self._client.list()
        except ConnectionLost:
            self._interrupt()
            return None

    def clock(self) -> float:
        """Now, in seconds of a clock that has no other meaning."""
        return time.monotonic()

    def time_ns(self) -> int:
        """Now, in nanoseconds since the epoch."""
        return time.time_ns()

    def before(self, pid: int) -> Totals:
        """What had been counted of a process before this watch, which has to have `totals`."""
        return self._tally.before(pid)

    def _chosen_by_now(self) -> Iterator[list[Item]]:
        """What was chosen and has not been heard of yet."""
        self._finished = True
        try:
            self._client.sync(list(self.living))
        except ConnectionLost:
            self._interrupt()
        yield self.read()

    def _mend(self) -> Iterator[list[Item]]:
        """What comes until there is no interruption any more."""
        while self._outage is not None:
            yield self.read()
            if self._outage is not None:
                self.wait(None)
