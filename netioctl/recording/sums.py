"""Totals of a part of a recording, from its events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from netioctl import stats
from netioctl.answers import Process, Row, Summary, Totals
from netioctl.recording.items import Note, Run
from netioctl.recording.reader import Piece
from netioctl.stream import Lost
from netioctl.watching import Escaped, Interrupted
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection

_RECV = 1


class Columns(NamedTuple):
    """The events of one block, as numpy arrays of equal length; times in ns since the epoch."""

    times: Any
    pids: Any
    conns: Any
    sizes: Any
    received: Any


class Columnar:
    """Makes Columns of the events of `pids` (none: all) between two times."""

    def __init__(self, since: int, until: int, pids: Collection[int]) -> None:
        self._since, self._until = since, until
        self._pids = np.array(sorted(pids), np.int64)
        self.dtype = layout.dtype(layout.load().structs["event"])

    def of(self, piece: Piece) -> Columns:
        """A block's."""
        runs = [each for each in piece.items if isinstance(each, Run)]
        numbers = [run.number for run in runs]
        events = np.frombuffer(piece.data, self.dtype)
        pids = np.repeat(np.array([run.pid for run in runs], np.int64), numbers)
        offsets = np.repeat(np.array([run.wall_offset for run in runs], np.int64), numbers)
        times = events["time"].astype(np.int64) + offsets
        kept = (times >= self._since) & (times <= self._until)
        if len(self._pids):
            kept &= np.isin(pids, self._pids)
        events = events[kept]
        received = events["dir"] == _RECV
        sizes = events["bytes"].astype(np.float64)
        return Columns(times[kept], pids[kept], events["conn"].astype(np.int64), sizes, received)


class Sums:
    """Adds up the events of `pids` (none: all) between two times (ns since the epoch)."""

    def __init__(self, since: int, until: int, pids: Collection[int]) -> None:
        self._since, self._until, self._pids = since, until, pids
        self._columnar = Columnar(since, until, pids)
        self._rows: dict[tuple[int, Connection], Totals] = {}
        self._lost = self._missed = 0
        self._unknown = False

    def add(self, piece: Piece) -> None:
        """Add a block's."""
        for each in piece.items:
            if isinstance(each, Note) and self._since <= each.time <= self._until:
                self._note(each.item)
        found = self._columnar.of(piece)
        keys, place = np.unique(found.pids << 32 | found.conns, return_inverse=True)
        counts: list[Any] = []
        for way in (~found.received, found.received):
            counts.append(np.bincount(place[way], found.sizes[way], len(keys)))
            counts.append(np.bincount(place[way], None, len(keys)))
        columns = (each.astype(np.int64).tolist() for each in counts)
        for key, sent, sends, received, receives in zip(keys.tolist(), *columns):
            whose = key >> 32, piece.connections.get(key & 0xFFFFFFFF, UNKNOWN)
            more = Totals(sent, received, sends, receives)
            self._rows[whose] = stats.add(self._rows.get(whose, Totals()), more)

    def summary(self, processes: Sequence[Process]) -> Summary:
        """What was added up."""
        rows = tuple(
            Row(pid, c.family or stats.OTHER, c.proto, c.local, c.remote, total)
            for (pid, c), total in self._rows.items()
        )
        complete = not (self._lost or self._missed or self._unknown)
        return Summary(
            stats.total(rows),
            rows,
            tuple(p for p in processes if not self._pids or p.pid in self._pids),
            (),
            complete,
            self._since / 1e9,
            self._until / 1e9,
            self._missed,
        )

    def _note(self, item: Any) -> None:
        if isinstance(item, Lost) and (not self._pids or item.pid in self._pids):
            self._lost += item.events
        elif isinstance(item, Escaped):
            self._missed += item.operations
        elif isinstance(item, Interrupted):
            self._unknown = True
