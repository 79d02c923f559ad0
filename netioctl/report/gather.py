"""What a report says: totals from the counters of a recording, what has a time from its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from netioctl import stats
from netioctl.answers import Process, Row, Summary, Totals
from netioctl.recording.items import Note
from netioctl.recording.parts import Recording
from netioctl.recording.reader import Piece
from netioctl.recording.replay import Replay
from netioctl.recording.sums import Columnar
from netioctl.render.words import connection, printable
from netioctl.stream import Lost
from netioctl.watching import Escaped, Gone, Interrupted
from netioctl.wire.endpoints import UNKNOWN

_SECOND = 1_000_000_000
#: Points of a course at most, and series that have a colour of their own.
MOST_POINTS, MOST_SERIES = 200, 6
#: Losses that are told one by one.
_MOST_LOSSES = 1000
#: Sizes are counted between powers of two, up to 4 GB.
SIZES = 33


class Series(NamedTuple):
    """A course: bytes in each step of time."""

    label: str
    values: Sequence[float]


class Loss(NamedTuple):
    """Where something is missing: epoch seconds, what is, and how many (None: unknown)."""

    time: float
    what: str
    missing: int | None


class Report(NamedTuple):
    """All that a report shows. Times in epoch seconds; courses are by `step` s from `first`."""

    path: str
    host: str
    kernel: str
    netio: str
    began: float
    until: float
    events: int
    summary: Summary
    exact: bool
    rows: tuple[Row, ...]
    processes: tuple[Process, ...]
    exited: dict[int, float]
    first: float
    step: float
    sent: Series
    received: Series
    by_process: tuple[Series, ...]
    by_connection: tuple[Series, ...]
    sizes_sent: Sequence[int]
    sizes_received: Sequence[int]
    peers: tuple[tuple[str, Totals], ...]
    losses: tuple[Loss, ...]
    problems: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Events that are known to be missing."""
        return sum(each.missing or 0 for each in self.losses if each.what != _ESCAPED)


_ESCAPED = "operations escaped the kernel's hooks"


def gather(
    reader: Recording,
    pids: Sequence[int],
    since: int | None,
    until: int | None,
    progress: Callable[[int], None],
) -> Report:
    """Read a recording; `progress` is told how many events have been read.

    `since` and `until` in ns since the epoch.
    """
    replay = Replay(reader, pids, since=since, until=until)
    held = replay.list()
    summary = replay.summary()
    exact = since is None and until is None and replay.counted() is not None
    rows = tuple(stats.heaviest_first(stats.merge(summary.rows)))
    blocks = [block for block in reader.blocks if block.events and block.kind == 1]
    first = min((block.first for block in blocks), default=reader.began)
    last = max((block.last for block in blocks), default=reader.until)
    first, last = max(first, since or first), min(last, until or last)
    processes = tuple(each.process for each in held)
    names = {process.pid: printable(process.comm) for process in processes}
    courses = _Courses(first, max(first + 1, last), rows, names)
    columnar = Columnar(
        reader.began if since is None else since, reader.until if until is None else until, pids
    )
    losses: list[Loss] = []
    events = 0
    for piece in reader.pieces(first if since is None else since, until or reader.until):
        events += courses.add(columnar.of(piece), piece)
        _note_losses(piece, losses, set(pids))
        progress(events)
    return Report(
        path=printable(reader.path),
        host=reader.text("host"),
        kernel=reader.text("kernel"),
        netio=reader.text("netio"),
        began=(reader.began if since is None else since) / _SECOND,
        until=(reader.until if until is None else until) / _SECOND,
        events=events,
        summary=summary,
        exact=exact,
        rows=rows,
        processes=processes,
        exited={each.process.pid: each.exited for each in held if each.exited is not None},
        first=courses.first / _SECOND,
        step=courses.step / _SECOND,
        sent=Series("sent", courses.ways[0].tolist()),
        received=Series("received", courses.ways[1].tolist()),
        by_process=courses.series(courses.processes, courses.process_labels),
        by_connection=courses.series(courses.connections, courses.connection_labels),
        sizes_sent=courses.sizes[0].tolist(),
        sizes_received=courses.sizes[1].tolist(),
        peers=_peers(rows),
        losses=tuple(losses),
        problems=tuple(reader.problems),
    )


class _Courses:
    """Adds up what moved in each step of time."""

    def __init__(self, first: int, last: int, rows: Sequence[Row], names: dict[int, str]) -> None:
        self.step = _step(last - first)
        self.first = first // self.step * self.step
        self.points = (last - self.first) // self.step + 1
        self.ways = np.zeros((2, self.points))
        self.sizes = np.zeros((2, SIZES), np.int64)
        totals: Counter[int] = Counter()
        for row in rows:
            totals[row.pid] += row.total.sent_bytes + row.total.recv_bytes
        top = [pid for pid, _ in totals.most_common(MOST_SERIES)]
        self._pids = {pid: at for at, pid in enumerate(top)}
        self.process_labels = [f"{pid} {names.get(pid, '')}".strip() for pid in top]
        heavy = [row for row in rows if row.family != stats.OTHER][:MOST_SERIES]
        self._connections = {tuple(row[:5]): at for at, row in enumerate(heavy)}
        self.connection_labels = [
            connection(row.local, row.remote)
            + (f" ({names.get(row.pid, row.pid)})" if len(names) > 1 else "")
            for row in heavy
        ]
        # One more for all others.
        self.processes = np.zeros((MOST_SERIES + 1, self.points))
        self.connections = np.zeros((MOST_SERIES + 1, self.points))

    def add(self, found: Any, piece: Piece) -> int:
        """Add a block's events, and say how many there were."""
        if not len(found.times):
            return 0
        at = np.clip((found.times - self.first) // self.step, 0, self.points - 1)
        # The power of two that a size is below.
        powers = np.minimum(np.frexp(found.sizes)[1], SIZES - 1)
        for number, way in enumerate((~found.received, found.received)):
            self.ways[number] += np.bincount(at[way], found.sizes[way], self.points)
            self.sizes[number] += np.bincount(powers[way], None, SIZES)
        pids, place = np.unique(found.pids, return_inverse=True)
        series = np.array([self._pids.get(pid, MOST_SERIES) for pid in pids.tolist()])
        self._spread(self.processes, series[place], at, found.sizes)
        keys, place = np.unique(found.pids << 32 | found.conns, return_inverse=True)
        series = np.array([self._connection(key, piece) for key in keys.tolist()])
        self._spread(self.connections, series[place], at, found.sizes)
        return len(found.times)

    def _connection(self, key: int, piece: Piece) -> int:
        words = piece.connections.get(key & 0xFFFFFFFF, UNKNOWN)
        return self._connections.get((key >> 32, *words[1:]), MOST_SERIES)

    def _spread(self, into: Any, series: Any, at: Any, sizes: Any) -> None:
        counted = np.bincount(series * self.points + at, sizes, into.size)
        into += counted.reshape(into.shape)

    def series(self, values: Any, labels: Sequence[str]) -> tuple[Series, ...]:
        """Those with a name, then all others, if there are any."""
        found = [Series(label, values[at].tolist()) for at, label in enumerate(labels)]
        if values[MOST_SERIES].any():
            found.append(Series("all others", values[MOST_SERIES].tolist()))
        return tuple(found)


def _step(span: int) -> int:
    """A round number of ns, of which at most MOST_POINTS make up `span`."""
    for exponent in range(6, 20):
        for digit in (1, 2, 5):
            step: int = digit * 10**exponent
            if span // step < MOST_POINTS:
                return step
    raise AssertionError(span)


def _peers(rows: Sequence[Row]) -> tuple[tuple[str, Totals], ...]:
    """Totals by the other end: an address without its port, a path, or another process."""
    found: dict[str, Totals] = {}
    for row in rows:
        if row.family == stats.OTHER:
            name = "(other connections)"
        elif row.remote is None:
            name = f"* ({row.family or 'unknown'})"
        elif row.family in ("inet", "inet6"):
            name = row.remote.rpartition(":")[0].strip("[]")
        else:
            name = row.remote
        found[name] = stats.add(found.get(name, Totals()), row.total)
    by_bytes = sorted(found.items(), key=lambda each: -(each[1].sent_bytes + each[1].recv_bytes))
    return tuple(by_bytes)


def _note_losses(piece: Piece, losses: list[Loss], pids: set[int]) -> None:
    for note in piece.items:
        if not isinstance(note, Note) or isinstance(note.item, Gone):
            continue
        item = note.item
        if isinstance(item, Lost) and (not pids or item.pid in pids):
            why = {"kernel": "kernel buffer", "stream": "netioctl too slow"}.get(
                item.stage, item.stage
            )
            loss = Loss(
                note.time / _SECOND, f"events of process {item.pid} lost ({why})", item.events
            )
        elif isinstance(item, Interrupted):
            what = f"events not seen: the stream was away for {item.seconds:.1f} s"
            loss = Loss(note.time / _SECOND, what, item.events)
        elif isinstance(item, Escaped):
            loss = Loss(note.time / _SECOND, _ESCAPED, item.operations)
        else:
            continue
        if len(losses) < _MOST_LOSSES:
            losses.append(loss)
        else:
            # The last entry takes the rest, so that sums stay right.
            known = losses[-1]
            total = (known.missing or 0) + (loss.missing or 0)
            losses[-1] = Loss(known.time, "events lost from here on", total)
