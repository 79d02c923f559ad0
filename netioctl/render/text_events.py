"""Events as lines for people: one operation a line, 80 columns where the addresses allow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netioctl import failures
from netioctl.render.clocks import LOCAL, Clock
from netioctl.render.columns import ByConnection, Cache, event_rows
from netioctl.render.losses import LossLines
from netioctl.render.palette import PLAIN, Palette
from netioctl.render.words import connection, cut, printable
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

_HEADER = "DIR  PID    COMM             {:<9} CONNECTION\n"
#: Columns between TIME and BYTES, and of DIR.
_LEFT, _DIR = len(" SEND 1234   curl             "), len("SEND")


class TextEvents(LossLines):
    """Draws what a stream's Reader returns.

    `lookup` tells the connection of an id; call `forget` when its answers change. `failed`: all
    are operations that failed.
    """

    def __init__(
        self,
        lookup: Callable[[int], Connection],
        clock: Clock = LOCAL,
        palette: Palette = PLAIN,
        *,
        failed: bool = False,
    ) -> None:
        super().__init__(palette)
        self._rows = event_rows("time", "conn", "bytes", "dir", failed=failed)
        self._header = _HEADER.format("ERROR" if failed else "BYTES")
        self._clock: Cache[int, str] = Cache(clock.short, 1000)
        self._start, self._unit, self._time = clock.start, clock.unit, clock.width
        self._bytes: Cache[int, str] = Cache(_error if failed else _bytes)
        self._left: Cache[tuple[int, str], Cache[int, str]] = Cache(
            lambda process: _left(process, palette), 1000
        )
        self._plain: Cache[tuple[int, str], Cache[int, str]] = Cache(
            lambda process: _left(process, PLAIN), 1000
        )
        self._lookup = lookup
        self._right = ByConnection(lookup, lambda c: connection(c.local, c.remote) + "\n")
        self._width: int | None = None
        self._room: Cache[int, ByConnection[str]] = Cache(self._beside, 64)

    def begin(self, width: int | None) -> str:
        """The header line; `width` is that of the terminal, None where nothing is cut."""
        header = f"{'TIME':<{self._time}} {self._header}"
        return header if width is None else cut(header[:-1], width) + "\n"

    def events(self, item: Events, width: int | None) -> str:
        """A line for each event."""
        offset, unit = item.wall_offset - self._start, self._unit
        rows = self._rows(item.data)
        if width is None:
            left, right = self._left[item.pid, item.comm], self._right
            time, size = self._clock, self._bytes
            return "".join(
                [
                    f"{time[(ns + offset) // unit]}{left[dir_]}{size[count]}{right[conn]}"
                    for ns, conn, count, dir_ in rows
                ]
            )
        lines = self._fitted(item, offset, width)
        lines = self._coloured(item, lines) if self._palette.send else lines
        return "\n".join(lines) + "\n"

    def forget(self) -> None:
        """Look connections up anew."""
        self._right.clear()
        self._room.clear()

    def _fitted(self, item: Events, offset: int, width: int) -> list[str]:
        """Lines for a terminal: the connection shortened first, then the line cut."""
        if width != self._width:
            self._width = width
            self._room.clear()
        left, unit = self._plain[item.pid, item.comm], self._unit
        lines = []
        for ns, conn, count, dir_ in self._rows(item.data):
            cell = self._bytes[count]
            before = f"{self._clock[(ns + offset) // unit]}{left[dir_]}{cell}"
            lines.append(cut(before + self._room[len(cell)][conn], width))
        return lines

    def _coloured(self, item: Events, lines: list[str]) -> list[str]:
        """Lines that are cut already, since escape sequences take no room."""
        begin, end, after = self._time + 1, self._time + 1 + _DIR, self._palette.end
        before = [self._palette.direction(dir_) for dir_ in range(256)]
        return [
            f"{line[:begin]}{before[dir_]}{line[begin:end]}{after}{line[end:]}"
            for line, (_, _, _, dir_) in zip(lines, self._rows(item.data))
        ]

    def _beside(self, cell: int) -> ByConnection[str]:
        """Connections in the room that a cell of `cell` columns for BYTES leaves on the line."""
        room = (self._width or 0) - self._time - _LEFT - cell
        return ByConnection(self._lookup, lambda c: connection(c.local, c.remote, room))


def _bytes(number: int) -> str:
    return f"{f'{number:,} bytes':<10} "


def _error(number: int) -> str:
    return f"{failures.name(number):<10} "


def _left(process: tuple[int, str], palette: Palette) -> Cache[int, str]:
    pid, comm = process
    names, name = layout.load().names("DIR"), printable(comm)[:16]

    def make(dir_: int) -> str:
        way = f"{names.get(dir_, '?').upper():<{_DIR}}"
        return f" {palette.direction(dir_)}{way}{palette.end} {pid:<6} {name:<16} "

    return Cache(make, 16)
