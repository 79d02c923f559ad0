"""Reads the daemon's counters again and again, beside whoever draws: keys never wait for it."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from netioctl.answers import Held, Row, Totals
from netioctl.client import Client
from netioctl.stats import merge, total
from netioctl.top.sample import Connections, Key, Sample
from netioctl.wire.errors import NetioError

if TYPE_CHECKING:
    from types import TracebackType


class Sampler:
    """Samples each `interval` seconds through `client`, which must be nobody else's.

    Without leases: what is to be counted somebody else holds. Where the daemon is away it tries
    again each time; who is to be told of that has a Session.
    """

    def __init__(self, client: Client, interval: float) -> None:
        self._client, self._interval = client, interval
        self._turn = threading.Condition()
        self._wanted: frozenset[int] = frozenset()
        self._asked_anew = self._closed = False
        self._samples: deque[Sample | NetioError] = deque()
        #: Counters of a process when its rows were read last.
        self._counted: dict[Key, tuple[int | None, Totals]] = {}
        #: When the rows of a process were asked for last (monotonic seconds).
        self._asked: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify()
        # It may wait for a daemon that does not answer: that is not waited for.
        self._thread.join(0.2)
        if not self._thread.is_alive():
            os.close(self._reader)
            os.close(self._writer)

    def fileno(self) -> int:
        """Readable when take() has something."""
        return self._reader

    def want(self, pids: frozenset[int]) -> None:
        """Sample the connections of these too; at once, where others were wanted before."""
        with self._turn:
            # A process more is no reason: that many may come in a second.
            self._asked_anew |= bool(pids) and not pids & self._wanted
            self._wanted = pids
            if self._asked_anew:
                self._turn.notify()

    def take(self) -> list[Sample | NetioError]:
        """What has been read since the last call, or why that could not be."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        return taken

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._turn:
                self._turn.wait_for(
                    lambda: self._closed or self._asked_anew, max(0.0, due - time.monotonic())
                )
                if self._closed:
                    return
                wanted, self._asked_anew = self._wanted, False
            regular = time.monotonic() >= due
            if regular:
                # Late once is no reason to be early next time.
                due = max(due + self._interval, time.monotonic())
            try:
                self._tell(self._sample(wanted, regular))
            except NetioError as error:
                self._tell(error)

    def _tell(self, what: Sample | NetioError) -> None:
        self._samples.append(what)
        with contextlib.suppress(BlockingIOError):  # full of bytes that say the same
            os.write(self._writer, b".")

    def _sample(self, wanted: frozenset[int], regular: bool) -> Sample:
        held = self._client.list() if regular else None
        now, wall = time.monotonic(), time.time()
        return Sample(now, wall, held, self._connections(wanted, held) if wanted else None)

    def _connections(self, wanted: frozenset[int], held: tuple[Held, ...] | None) -> Connections:
        if held is None:
            # A rate over a moment would say nothing: who looks away and back sees the last one.
            recent = time.monotonic() - self._interval
            asked = frozenset(pid for pid in wanted if self._asked.get(pid, -math.inf) < recent)
            same = frozenset[Key]()
        else:
            living = {(row.process.pid, row.process.start) for row in held}
            for key in self._counted.keys() - living:
                del self._counted[key]
                self._asked.pop(key[0], None)
            there = [row for row in held if row.process.pid in wanted]
            keys = {(row.process.pid, row.process.start) for row in there}
            # Whose totals are the same has moved nothing on any connection either.
            same = frozenset(
                key
                for row in there
                if (key := (row.process.pid, row.process.start)) in self._counted
                and self._counted[key] == (row.process.attached, row.total)
            )
            asked = frozenset(pid for pid, _ in keys - same)
        rows = self._rows(asked) if asked else {}
        return Connections(time.monotonic(), rows, same | rows.keys())

    def _rows(self, pids: frozenset[int]) -> dict[Key, tuple[Row, ...]]:
        answer = self._client.summary(sorted(pids))
        self._asked.update(dict.fromkeys(pids, time.monotonic()))
        by_pid: dict[int, list[Row]] = {}
        for row in answer.rows:
            by_pid.setdefault(row.pid, []).append(row)
        result = {}
        for process in answer.processes:
            rows = merge(by_pid.get(process.pid, ()))
            key = (process.pid, process.start)
            self._counted[key] = (process.attached, total(rows))
            result[key] = rows
        return result
