"""Lines of events from cells, in the columns that were asked for: for people and as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from netioctl import failures
from netioctl.render.columns import ByConnection, Cache, event_fields
from netioctl.render.words import netid
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.render.clocks import Clock
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

#: Where the value of each column is from: equal neighbours are looked up as one.
_SOURCES = {
    "time": "time",
    "dir": "dir",
    "pid": "process",
    "tid": "tid",
    "comm": "process",
    "call": "call",
    "family": "conn",
    "proto": "conn",
    "bytes": "bytes",
    "local": "conn",
    "remote": "conn",
    "error": "error",
}
_FIELDS = ("time", "tid", "conn", "bytes", "dir", "call", "error")

#: What makes a cell of a column's name and its value, None where that is unknown.
Write = Callable[[str, "str | int | None"], str]


class Cells:
    """Lines of these columns; `between` separates cells, `end` ends a line.

    `lookup` tells the connection of an id; call `forget` when its answers change.
    """

    def __init__(
        self,
        columns: Sequence[str],
        lookup: Callable[[int], Connection],
        clock: Clock,
        write: Write,
        between: str,
        end: str,
    ) -> None:
        self._fields = event_fields(*_FIELDS)
        self._start, self._tail = clock.start, clock.tail
        self._milli: Cache[int, str] = Cache(clock.long, 5000)
        self._micro = [f"{n:03}" for n in range(1000)]
        self._write, self._lookup = write, lookup
        self._parts: list[tuple[str, str, Any]] = []
        for at, (source, names) in enumerate(_runs(columns)):
            # The separator belongs to the cell before it, so that each line is joined but once.
            last = at == len(_runs(columns)) - 1
            after = end if last else between
            self._parts.append((source, after, self._texts(source, names, between, after)))

    def lines(self, item: Events) -> str:
        """A line for each event."""
        values = dict(zip(_FIELDS, zip(*self._fields.iter_unpack(item.data))))
        texts: list[Iterable[str]] = []
        for source, after, made in self._parts:
            if source == "process":
                texts.append(repeat(made[item.pid, item.comm], item.number))
            elif source == "time":
                texts.append(self._times(values["time"], item.wall_offset, self._tail + after))
            else:
                texts.append(map(made.__getitem__, values[source]))
        return "".join(map("".join, zip(*texts)))

    def forget(self) -> None:
        """Look connections up anew."""
        for source, _, made in self._parts:
            if source == "conn":
                made.clear()

    def _times(self, times: Sequence[int], offset: int, after: str) -> list[str]:
        milli, micro, offset = self._milli, self._micro, offset - self._start
        return [
            f"{milli[(wall := ns + offset) // 1_000_000]}{micro[wall // 1000 % 1000]}{after}"
            for ns in times
        ]

    def _texts(self, source: str, names: Sequence[str], between: str, after: str) -> Any:
        """A dict from what an event has to the text of these neighbours."""
        write = self._write

        def joined(values: dict[str, Any]) -> str:
            return between.join(write(name, values[name]) for name in names) + after

        if source == "conn":
            return ByConnection(self._lookup, lambda c: joined(_of_connection(c)))
        if source == "process":
            return Cache(lambda key: joined({"pid": key[0], "comm": key[1]}), 1000)
        (name,) = names if source != "time" else ("time",)
        if source in ("dir", "call"):
            known = layout.load().names(source.upper())
            return Cache(lambda n: joined({name: _known(known.get(n))}), 256)
        if source == "error":
            return Cache(lambda n: joined({name: failures.name(n) if n else None}), 256)
        return Cache(lambda n: joined({name: n}))


def _runs(columns: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Columns of the same source that stand side by side."""
    runs: list[tuple[str, list[str]]] = []
    for name in columns:
        source = _SOURCES[name]
        if runs and runs[-1][0] == source and source in ("conn", "process"):
            runs[-1][1].append(name)
        else:
            runs.append((source, [name]))
    return runs


def _of_connection(connection: Connection) -> dict[str, str | None]:
    kind = netid(connection)
    return {
        "family": connection.family,
        "proto": None if kind == "-" else kind,
        "local": connection.local,
        "remote": connection.remote,
    }


def _known(name: str | None) -> str | None:
    return None if name == "unknown" else name
