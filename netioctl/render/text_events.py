"""Events as lines for people: one operation a line, 80 columns where the addresses allow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netioctl.render import losses
from netioctl.render.columns import ByConnection, Cache, event_fields
from netioctl.render.words import clock, connection, cut, printable
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.answers import Totals
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection

HEADER = "TIME     DIR  PID    COMM             BYTES     CONNECTION\n"
#: Columns before BYTES.
_LEFT = len("22:30:45 SEND 1234   curl             ")


class TextEvents:
    """Draws what a stream's Reader returns.

    `lookup` tells the connection of an id; call `forget` when its answers change.
    """

    def __init__(self, lookup: Callable[[int], Connection]) -> None:
        self._fields = event_fields("time", "conn", "bytes", "dir")
        self._clock: Cache[int, str] = Cache(clock, 1000)
        self._bytes: Cache[int, str] = Cache(lambda n: f"{f'{n:,} bytes':<10} ")
        self._left: Cache[tuple[int, str], Cache[int, str]] = Cache(_left, 1000)
        self._lookup = lookup
        self._right = ByConnection(lookup, lambda c: connection(c.local, c.remote) + "\n")
        self._width: int | None = None
        self._room: Cache[int, ByConnection] = Cache(self._beside, 64)

    def begin(self, width: int | None) -> str:
        """The header line; `width` is that of the terminal, None where nothing is cut."""
        return HEADER if width is None else cut(HEADER[:-1], width) + "\n"

    def events(self, item: Events, width: int | None) -> str:
        """A line for each event."""
        left, right = self._left[item.pid, item.comm], self._right
        offset, size = item.wall_offset, self._bytes
        rows = self._fields.iter_unpack(item.data)
        if width is None:
            time = self._clock
            return "".join(
                [
                    f"{time[(ns + offset) // 1_000_000_000]}{left[dir_]}{size[count]}{right[conn]}"
                    for ns, conn, count, dir_ in rows
                ]
            )
        return "".join(self._fitted(list(rows), left, offset, width))

    def lost(self, item: Lost) -> str:
        """The line that stands where events are missing."""
        return losses.lost(item)

    def interrupted(self, seconds: float, events: int | None) -> str:
        """The line that stands where there was no stream."""
        return losses.interrupted(seconds, events)

    def missed(self, operations: int) -> str:
        """The line that tells of operations that escaped the kernel's hooks."""
        return losses.missed(operations)

    def skipped(self, seconds: float, what: Totals) -> str:
        """The line that stands where the terminal was too slow."""
        return losses.skipped(seconds, what)

    def forget(self) -> None:
        """Look connections up anew."""
        self._right.clear()
        self._room.clear()

    def _fitted(
        self,
        rows: list[tuple[int, int, int, int]],
        left: Cache[int, str],
        offset: int,
        width: int,
    ) -> list[str]:
        """Lines for a terminal: the connection shortened first, then the line cut."""
        if width != self._width:
            self._width = width
            self._room.clear()
        lines = []
        for ns, conn, count, dir_ in rows:
            cell = self._bytes[count]
            before = f"{self._clock[(ns + offset) // 1_000_000_000]}{left[dir_]}{cell}"
            lines.append(cut(before + self._room[len(cell)][conn], width) + "\n")
        return lines

    def _beside(self, cell: int) -> ByConnection:
        """Connections in the room that a cell of `cell` columns for BYTES leaves on the line."""
        room = (self._width or 0) - _LEFT - cell
        return ByConnection(self._lookup, lambda c: connection(c.local, c.remote, room))


def _left(process: tuple[int, str]) -> Cache[int, str]:
    pid, comm = process
    names = layout.load().names("DIR")
    return Cache(
        lambda dir_: f" {names.get(dir_, '?').upper():<4} {pid:<6} {printable(comm)[:16]:<16} ",
        16,
    )
