"""What a watch takes in while all goes well: frames, notifications, exits, in order."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Union

from netioctl.answers import Failure, Process, Totals
from netioctl.client import Client
from netioctl.feed import Feed
from netioctl.notices import Chosen, Ending, Missed, Notification, Replaced, Revoked
from netioctl.outage import Outage
from netioctl.tally import Tally
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable, NotHeld

if TYPE_CHECKING:
    from netioctl.stream import Events, Lost

#: Seconds between two requests for a first frame, until one has come on each topic.
SYNC_EVERY = 0.02
#: Seconds of silence after which the last events of a process that exited count as lost.
LAST_EVENTS = 1.0


class Began(NamedTuple):
    """A process is watched from now on, chosen by a selector or as the child of `parent`."""

    process: Process
    parent: int | None


class Gone(NamedTuple):
    """A process is watched no longer: it exited, or for `reason` the daemon let it go."""

    process: Process
    reason: str | None


class Waiting(NamedTuple):
    """The daemon is gone, and has been waited for longer than people should not know."""


class Interrupted(NamedTuple):
    """Here there was no stream: `events` were not seen; None: nobody knows how many."""

    seconds: float
    events: int | None


class Escaped(NamedTuple):
    """So many more `operations` escaped the kernel's hooks, of all processes together."""

    operations: int


Item = Union["Events", "Lost", Began, Gone, Waiting, Interrupted, Escaped]


class _Leaving:
    """A process that exited, some of whose events may still be on their way."""

    def __init__(self, process: Process, published: int, lost: int | None) -> None:
        self.process = process
        self.published, self.lost = published, lost
        self.expected: int | None = None
        self.until = 0.0


class Watching:
    """Session's state, and what does not depend on whether the daemon can be reached."""

    def __init__(
        self,
        client: Client,
        targets: Targets | Sequence[int],
        *,
        stream: bool,
        totals: bool,
        failed: bool,
    ) -> None:
        self._client = client
        self._targets = targets if isinstance(targets, Targets) else Targets(tuple(targets))
        self._want_stream, self._want_totals = stream, totals
        self._want_failed = failed
        self._feed: Feed | None = None
        self._poll = select.poll()
        self._others: list[int] = []
        self._pending: list[Item] = []
        self._tally = Tally()
        self._leaving: dict[int, _Leaving] = {}
        self._outage: Outage | None = None
        self._last_words: dict[tuple[int, int], Totals] = {}
        #: The processes that went well, and that have not exited.
        self.watched: tuple[Process, ...] = ()
        self.living: dict[int, Process] = {}
        self._known: set[tuple[int, int]] = set()
        #: The PIDs that did not.
        self.errors: tuple[Failure, ...] = ()

    def _turn(self, items: list[Item]) -> None:
        """Take in what has come by either way."""
        told = self._notifications()
        for each in told:
            # First, since it is about frames that may be there already.
            if isinstance(each, Replaced):
                self._replaced(each)
        if self._feed is not None:
            self._receive(self._feed, items)
            if self._name(self._feed):
                # The daemon may have told something before it answered.
                told += self._notifications()
        while told:
            for each in told:
                self._hear(each, items)
            told = self._notifications()

    def _name(self, feed: Feed) -> bool:
        """Ask what those connections are that frames did not describe to us: the frames that did
        came before ours or were lost. Whether the daemon was asked."""
        away = self._outage is not None and self._outage.link is not None
        if away or feed.stale or not feed.reader.unknown:
            return False
        feed.reader.learn(self._client.describe(feed.reader.unknown))
        return True

    def _notifications(self) -> tuple[Notification, ...]:
        away = self._outage is not None and self._outage.link is not None
        return () if away else self._client.notifications()

    def _receive(self, feed: Feed, items: list[Item]) -> None:
        over = self._outage is not None and self._outage.over
        before, after = feed.receive()
        if after is not None:
            self._outage = self._outage or Outage()
            self._outage.over = True
            # Unless a gate alone was replaced, the leases are gone too.
            self._outage.leaseless |= feed.stale
        if self._outage is not None:
            self._outage.held += (before if over else []) + (after or [])
        items += [] if over else before

    def _hear(self, told: Notification, items: list[Item]) -> None:
        if isinstance(told, Missed):
            self._missed(told.operations, items)
            return
        if isinstance(told, Replaced):
            self._replaced(told)
            return
        if isinstance(told, Chosen):
            self._chosen(told, items)
            return
        if isinstance(told, Ending):
            self._last_words[told.pid, told.start] = told.total
            return
        process = self.living.get(told.pid)
        if process is None or process.start != told.start:
            return
        if self._want_totals:
            # At once, since another process may have that PID by the end of a long watch.
            self._tally.exited(self._client.summary([process.pid]))
        del self.living[told.pid]
        if isinstance(told, Revoked):
            items.append(Gone(process, told.reason))
            self._forget(process)
            return
        self._leaving[process.pid] = _Leaving(process, told.published, told.lost)

    def _chosen(self, told: Chosen, items: list[Item]) -> None:
        if (told.process.pid, told.process.start) in self._known:
            return
        self._join(told.process, told.parent, items, told.before)
        if self._feed is not None:
            items += self._feed.join(told.process, told.published, told.lost)

    def _join(
        self, process: Process, parent: int | None, items: list[Item], before: Totals
    ) -> None:
        """A process is watched from now on; what had been counted of it before that is not part
        of this watch."""
        if self._want_totals:
            self._tally.joined(process, before)
        self._known.add((process.pid, process.start))
        self.living[process.pid] = process
        self.watched = (*self.watched, process)
        items.append(Began(process, parent))
        if self._feed is not None:
            self._feed.reader.follow((process,))

    def _missed(self, so_far: int, items: list[Item]) -> None:
        if more := self._tally.missed(so_far):
            items.append(Escaped(more))

    def _see_off(self, leaving: _Leaving, items: list[Item]) -> None:
        pid, now = leaving.process.pid, time.monotonic()
        expected = None if self._feed is None else self._feed.reader.expected(pid)
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
        if self._feed is not None:
            self._feed.forget(process)

    def _synchronise(self, items: list[Item]) -> None:
        """Ask for frames until one has come on each topic: then nothing passes us by."""
        if self._feed is None:
            return
        now = time.monotonic()
        deadline, next_request = now + self._client.timeout, now
        while silent := self._feed.silent(self.living):
            now = time.monotonic()
            if now >= deadline:
                raise DaemonUnreachable(
                    f"netiod's stream at {self._feed.endpoint} has been silent for "
                    f"{self._client.timeout:g} s (check: systemctl status netiod)"
                )
            if now >= next_request:
                next_request = now + SYNC_EVERY
                # A process that exits meanwhile is held no longer.
                with contextlib.suppress(NotHeld):
                    self._client.sync([pid for pid in silent if pid])
            if not self._feed.more:
                self._poll.poll(max(1.0, (next_request - now) * 1000))
            self._turn(items)

    def _replaced(self, told: Replaced) -> None:
        """The gate that our frames come by is another one."""
        if self._feed is not None:
            self._outage = self._outage or Outage(told.seconds)
            self._feed.replaced(told.replaced)
