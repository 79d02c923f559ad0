"""A watch from beginning to end: lease, stream, exits, and the totals of just this watch.

with Client() as client, Session(client, [1234]) as session:
    session.attach()
    session.open()
    while not session.ended:
        session.wait(None)
        for item in session.read():
            ...
    print(session.summary().total)
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Union

from netioctl.answers import Failure, Missed, Notification, Process, Revoked, Summary
from netioctl.client import Client
from netioctl.tally import Tally
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import DaemonUnreachable, NotHeld, ProtocolError

if TYPE_CHECKING:
    from types import TracebackType

    from netioctl.stream import Events, Lost, Reader, Stream

#: Seconds between two requests for a first frame, until one has come on each topic.
SYNC_EVERY = 0.02
#: Seconds of silence after which the last events of a process that exited count as lost.
LAST_EVENTS = 1.0
#: Frames taken at once: bounds the memory that their text needs, and with it the connections that
#: they may name to less than a Reader remembers.
FRAMES_AT_ONCE = 32


class Gone(NamedTuple):
    """A process is watched no longer: it exited, or for `reason` the daemon let it go."""

    process: Process
    reason: str | None


class Resumed(NamedTuple):
    """Another run of the broker has begun; events in between may be missing."""


class Escaped(NamedTuple):
    """So many more `operations` escaped the kernel's hooks, of all processes together."""

    operations: int


Item = Union["Events", "Lost", Gone, Resumed, Escaped]


class _Leaving:
    """A process that exited, some of whose events may still be on their way."""

    def __init__(self, process: Process, published: int) -> None:
        self.process = process
        self.published = published
        self.expected: int | None = None
        self.until = 0.0


class Session:
    """Watches `pids`; without `stream`, only their exits and totals.

    `totals`: whether summary() will be asked. Errors are the client's; besides,
    DaemonUnreachable where the stream stays silent.
    """

    def __init__(
        self, client: Client, pids: Sequence[int], *, stream: bool = True, totals: bool = True
    ) -> None:
        self._client, self._pids = client, pids
        self._want_stream, self._want_totals = stream, totals
        self._stream: Stream | None = None
        self._reader: Reader | None = None
        self._poll = select.poll()
        self._pending: list[Item] = []
        self._more = False
        self._tally = Tally()
        self._leaving: dict[int, _Leaving] = {}
        self._broken: DaemonUnreachable | None = None
        #: The processes that went well, and that have not exited.
        self.watched: tuple[Process, ...] = ()
        self.living: dict[int, Process] = {}
        #: The PIDs that did not.
        self.errors: tuple[Failure, ...] = ()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def attach(self) -> None:
        """Take the lease; `watched` and `errors` say for which processes that went well."""
        if self._want_stream:
            from netioctl.stream import Reader, check_layout

            check_layout(self._client.server.layout)
            self._reader = Reader()
        answer = self._client.watch(self._pids, stream=self._want_stream)
        self.watched, self.errors = answer.processes, answer.errors
        self.living = {process.pid: process for process in self.watched}
        # Counters of what was attached just now began at zero: those are exact from the first
        # byte. Others had counted before.
        earlier = [process.pid for process in self.watched if not process.fresh]
        needed = bool(earlier and self._want_totals)
        self._tally.begin(answer.missed, self._client.summary(earlier) if needed else None)
        self._poll.register(self._client, select.POLLIN)
        if self._reader is not None and self.watched:
            if not answer.endpoint:
                raise ProtocolError("netiod named no stream that can be read")
            self._reader.follow(self.watched)
            self._connect(answer.endpoint)

    def open(self) -> None:
        """Wait until the stream of each process has begun."""
        self._synchronise()

    def register(self, descriptor: int, events: int) -> None:
        """Have wait() also return when this descriptor is ready (events as select.poll's)."""
        self._poll.register(descriptor, events)

    def wait(self, seconds: float | None) -> set[int]:
        """Wait for something to read, at most so long; the descriptors that are ready."""
        now = time.monotonic()
        ends = [leaving.until for leaving in self._leaving.values()]
        if seconds is not None:
            ends.append(now + seconds)
        if self._more or self._pending or self._broken:
            ends.append(now)
        # poll() takes no more than an int of milliseconds.
        left = min(3600.0, max(0.0, min(ends) - now)) if ends else None
        return {fd for fd, _ in self._poll.poll(None if left is None else left * 1000)}

    def read(self) -> list[Item]:
        """What has come, in order; the same process's Gone after its last events."""
        self._check()
        items, self._pending = self._pending, []
        if self._stream is not None and self._reader is not None:
            received = self._stream.frames(FRAMES_AT_ONCE)
            self._more = len(received) == FRAMES_AT_ONCE
            for frame in received:
                items += self._reader.read(frame)
            if self._reader.interrupted:
                self._reader.interrupted = False
                items.append(Resumed())
                self._resume()
        try:
            # Anew until there is none: what _hear() asks may bring more.
            while told := self._client.notifications():
                for each in told:
                    self._hear(each, items)
        except DaemonUnreachable as error:
            # First what came before the end; then the next call fails.
            self._broken = error
            if not items:
                raise
        for leaving in list(self._leaving.values()):
            self._see_off(leaving, items)
        return items

    def finish(self) -> Iterator[list[Item]]:
        """What happened before now and has not been read yet; waits LAST_EVENTS for it at most."""
        if self._stream is None or self._reader is None or not self.living or self._broken:
            return
        published = self._client.sync(list(self.living))
        end = time.monotonic() + LAST_EVENTS
        while True:
            # At least once: the daemon may have told something before it answered.
            yield self.read()
            left = end - time.monotonic()
            expected = {pid: self._reader.expected(pid) for pid in self.living}
            if left <= 0 or all((n or 0) >= published.get(pid, 0) for pid, n in expected.items()):
                return
            self.wait(left)

    @property
    def ended(self) -> bool:
        """Whether no process is left, and read() has returned all."""
        return not (self.living or self._leaving or self._pending or self._broken)

    @property
    def generation(self) -> int:
        """Grows when connection() may answer otherwise than before for the same id."""
        return 0 if self._reader is None else self._reader.generation

    def connection(self, ident: int) -> Connection:
        """The connection that an event's id means, or UNKNOWN."""
        return UNKNOWN if self._reader is None else self._reader.connection(ident)

    def summary(self) -> Summary:
        """What was counted since this watch began."""
        self._check()
        living = self._client.summary(list(self.living)) if self.living else None
        return self._tally.result(living, self.watched)

    def _check(self) -> None:
        """Raise what ended the connection: from then on nothing that is known is whole."""
        if self._broken is not None:
            raise self._broken

    def _connect(self, endpoint: str) -> None:
        from netioctl.stream import Stream

        if self._stream is not None:
            self._poll.unregister(self._stream)
            self._stream.close()
        self._stream = Stream(endpoint)
        self._poll.register(self._stream, select.POLLIN)
        for process in self.living.values():
            self._stream.subscribe(process.topic)

    def _synchronise(self) -> None:
        """Ask for frames until one has come on each topic: then nothing passes us by."""
        if self._stream is None or self._reader is None:
            return
        now = time.monotonic()
        deadline, next_request = now + self._client.timeout, now
        while True:
            silent = [pid for pid in self.living if self._reader.expected(pid) is None]
            if not silent:
                return
            now = time.monotonic()
            if now >= deadline:
                raise DaemonUnreachable(
                    f"netiod's stream at {self._stream.endpoint} has been silent for "
                    f"{self._client.timeout:g} s (check: systemctl status netiod)"
                )
            if now >= next_request:
                next_request = now + SYNC_EVERY
                # A process that exits meanwhile is held no longer.
                with contextlib.suppress(NotHeld):
                    self._client.sync(silent)
            self._poll.poll(max(1.0, (next_request - now) * 1000))
            items = self.read()
            self._pending = items + self._pending

    def _resume(self) -> None:
        """Take the lease and the stream up again after the broker has begun anew."""
        if self.living and self._stream is not None:
            answer = self._client.watch(list(self.living), stream=True)
            if answer.endpoint and answer.endpoint != self._stream.endpoint:
                self._connect(answer.endpoint)
            self._synchronise()

    def _hear(self, told: Notification, items: list[Item]) -> None:
        if isinstance(told, Missed):
            if more := self._tally.missed(told.operations):
                items.append(Escaped(more))
            return
        process = self.living.get(told.pid)
        if process is None or process.start != told.start:
            return
        del self.living[told.pid]
        if self._want_totals:
            # At once, since another process may have that PID by the end of a long watch.
            self._tally.exited(self._client.summary([process.pid]))
        if isinstance(told, Revoked):
            items.append(Gone(process, told.reason))
            self._forget(process)
            return
        self._leaving[process.pid] = _Leaving(process, told.published)

    def _see_off(self, leaving: _Leaving, items: list[Item]) -> None:
        pid, now = leaving.process.pid, time.monotonic()
        expected = None if self._reader is None else self._reader.expected(pid)
        if expected is not None and expected < leaving.published:
            if leaving.expected != expected:
                leaving.expected, leaving.until = expected, now + LAST_EVENTS
            if now < leaving.until:
                return
            from netioctl.stream import Lost

            items.append(Lost(pid, leaving.published - expected, "stream"))
        del self._leaving[pid]
        items.append(Gone(leaving.process, None))
        self._forget(leaving.process)

    def _forget(self, process: Process) -> None:
        if self._stream is not None and self._reader is not None:
            self._stream.unsubscribe(process.topic)
            self._reader.forget(process.pid)
