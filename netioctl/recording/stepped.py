"""A recording by intervals: what had been counted by the end of each, from its events."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from netioctl import stats
from netioctl.answers import Held, Process, Row, Totals
from netioctl.recording.parts import Recording
from netioctl.recording.replay import Replay
from netioctl.stream import Events
from netioctl.watching import Began, Gone, Item
from netioctl.wire import layout
from netioctl.wire.endpoints import Connection

_SECOND = 1_000_000_000
_RECV = 1
#: Intervals without anything that are shown in a row: two hours, if they are of one second.
_MOST_QUIET = 7200


class Stepped(Replay):
    """A Replay whose read() returns an interval at a time, of `seconds`; else as Replay.

    Counters are the sums of the events so far, which lack those that were lost.
    """

    def __init__(
        self,
        reader: Recording,
        pids: Sequence[int] = (),
        *,
        seconds: float,
        since: int | None = None,
        until: int | None = None,
        speed: float | None = None,
    ) -> None:
        super().__init__(reader, pids, since=since, until=until, speed=speed)
        self._step = max(1, round(seconds * _SECOND))
        self._dtype = layout.dtype(layout.load().structs["event"])
        #: Intervals that are over.
        self.steps = 0
        self._living = {process.pid: process for process in self.watched}
        self._known = {(process.pid, process.start): process for process in self.watched}
        self._exited: dict[tuple[int, int], float] = {}
        self._counted: dict[tuple[int, Connection], list[int]] = {}

    @property
    def living(self) -> dict[int, Process]:
        """Those that have not exited by now."""
        return self._living

    @property
    def ended(self) -> bool:
        """Whether the last interval is over."""
        return super().ended and self._position >= self._until

    def clock(self) -> float:
        """Now, in the recording: seconds of a clock that has no other meaning."""
        return (self._position - self._since) / _SECOND

    def time_ns(self) -> int:
        """Now, in the recording: ns since the epoch."""
        return self._position

    def wait(self, seconds: float | None) -> set[int]:
        """As Replay has it; at the end until `seconds` are over."""
        if self.ended:
            left = math.inf if seconds is None else seconds
        elif self._speed is None:
            left = 0.0
        else:
            left = max(0.0, self._due(self._boundary) - time.monotonic())
            left = left if seconds is None else min(left, seconds)
        return self._ready(left)

    def read(self) -> list[Item]:
        """All of the next interval, when it is over."""
        if self.ended:
            return []
        if self._speed is not None and time.monotonic() < self._due(self._boundary):
            return []
        self._skip_quiet()
        end, items = self._boundary, list[Item]()
        while True:
            self._fill()
            if not self._queue or self._queue[0][0] > end:
                break
            _, item = self._queue.popleft()
            if isinstance(item, Events):
                if item.number > 1:
                    item = self._part(item, end)
                self._count(item)
            elif isinstance(item, Began):
                self._known[item.process.pid, item.process.start] = item.process
                self._living[item.process.pid] = item.process
            elif isinstance(item, Gone):
                key = item.process.pid, item.process.start
                self._exited[key] = self._position / _SECOND
                self._living.pop(item.process.pid, None)
            items.append(item)
        self.steps += 1
        self._position = min(end, self._until)
        return items

    def held(self) -> tuple[Held, ...]:
        """What each process has moved by now."""
        totals: dict[int, Totals] = {}
        for (pid, _), counts in self._counted.items():
            totals[pid] = stats.add(totals.get(pid, Totals()), Totals(*counts))
        return tuple(
            Held(process, None, 0, self._exited.get(key), totals.get(process.pid, Totals()))
            for key, process in self._known.items()
        )

    def rows(self) -> dict[tuple[int, int], tuple[Row, ...]]:
        """The same by connection, of each process by PID and start."""
        found: dict[int, list[Row]] = {}
        for (pid, connection), counts in self._counted.items():
            words = (connection.family or stats.OTHER, *connection[2:])
            found.setdefault(pid, []).append(Row(pid, *words, Totals(*counts)))
        return {key: stats.merge(found.get(key[0], ())) for key in self._known}

    def before(self, _pid: int) -> Totals:
        """What had been counted before: nothing."""
        return Totals()

    @property
    def _boundary(self) -> int:
        return self._since + (self.steps + 1) * self._step

    def _skip_quiet(self) -> None:
        """Pass over the years by which a clock was set, which nobody lived through."""
        self._fill()
        following = self._queue[0][0] if self._queue else self._until
        quiet = (following - self._since) // self._step - self.steps
        if quiet > _MOST_QUIET:
            self.steps += quiet

    def _count(self, item: Events) -> None:
        events = np.frombuffer(item.data, self._dtype)
        keys = events["conn"].astype(np.int64) << 1 | (events["dir"] == _RECV)
        found, place, numbers = np.unique(keys, return_inverse=True, return_counts=True)
        sizes = np.bincount(place, events["bytes"].astype(np.float64)).astype(np.int64)
        each: Any
        for each in zip(found.tolist(), sizes.tolist(), numbers.tolist()):
            key, moved, operations = each
            counts = self._counted.setdefault((item.pid, self.connection(key >> 1)), [0, 0, 0, 0])
            counts[key & 1] += moved
            counts[2 + (key & 1)] += operations
