"""Totals of a part of a recording, from its events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

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


class Sums:
    """Adds up the events of `pids` (none: all) between two times (ns since the epoch)."""

    def __init__(self, since: int, until: int, pids: Collection[int]) -> None:
        self._since, self._until, self._pids = since, until, pids
        self._dtype = layout.dtype(layout.load().structs["event"])
        self._rows: dict[tuple[int, Connection], Totals] = {}
        self._lost = self._missed = 0
        self._unknown = False

    def add(self, piece: Piece) -> None:
        """Add a block's."""
        events = np.frombuffer(piece.data, self._dtype)
        begin = 0
        for each in piece.items:
            if isinstance(each, Note):
                if self._since <= each.time <= self._until:
                    self._note(each.item)
                continue
            end = begin + each.number
            if not self._pids or each.pid in self._pids:
                self._add_run(each, self.within(each, events[begin:end]), piece.connections)
            begin = end

    def within(self, run: Run, events: Any) -> Any:
        """Those of a run's events that are of the time that is asked for."""
        low, high = self._since - run.wall_offset, self._until - run.wall_offset
        low, high = max(0, low), max(0, high)
        times = events["time"]
        if low <= int(times.min()) and int(times.max()) <= high:
            return events
        return events[(times >= np.uint64(low)) & (times <= np.uint64(high))]

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

    def _add_run(self, run: Run, events: Any, known: dict[int, Connection]) -> None:
        ids, place = np.unique(events["conn"], return_inverse=True)
        received = events["dir"] == _RECV
        sizes = events["bytes"].astype(np.float64)
        counts: list[Any] = []
        for way in (~received, received):
            counts.append(np.bincount(place[way], sizes[way], len(ids)))
            counts.append(np.bincount(place[way], None, len(ids)))
        sent, sends, received_bytes, receives = (each.astype(np.int64).tolist() for each in counts)
        for at, ident in enumerate(ids.tolist()):
            key = run.pid, known.get(ident, UNKNOWN)
            more = Totals(sent[at], received_bytes[at], sends[at], receives[at])
            self._rows[key] = stats.add(self._rows.get(key, Totals()), more)
