"""Events as lines for people who want every column, however long the lines become."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netioctl import failures
from netioctl.render.clocks import LOCAL, Clock
from netioctl.render.columns import ByConnection, Cache, event_rows
from netioctl.render.losses import LossLines
from netioctl.render.palette import PLAIN, Palette
from netioctl.render.words import connection, netid, printable
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

#: Columns of the longest: a time, a PID, task_struct.comm, a call's name, 32 bits of bytes.
_ROW = "{:<{time}} {:<4} {:<7} {:<7} {:<15} {:<10} {:<8} {:>13} {}\n"
_BEFORE = ("TIME", "DIR", "PID", "TID", "COMM", "CALL", "PROTO")


class WideEvents(LossLines):
    """Draws what a stream's Reader returns, as TextEvents does; no line is cut, so no width counts.

    `lookup` tells the connection of an id; call `forget` when its answers change.
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
        self._rows = event_rows("time", "tid", "conn", "bytes", "dir", "call", failed=failed)
        self._size = "ERROR" if failed else "BYTES"
        self._start, self._time = clock.start, clock.long_width
        # Six digits by two look-ups: to format a number costs more than all else on the line.
        self._milli: Cache[int, str] = Cache(clock.long, 5000)
        self._micro = [f"{n:03}" for n in range(1000)]
        self._left: Cache[tuple[int, str], Cache[int, Cache[int, str]]] = Cache(
            lambda process: _left(process, palette), 1000
        )
        calls = layout.load().names("CALL")
        self._middle: Cache[int, ByConnection[str]] = Cache(
            lambda call: _middle(lookup, calls.get(call, "unknown")), 256
        )
        self._bytes: Cache[int, str] = Cache(
            lambda n: f"{failures.name(n) if failed else f'{n:,}':>13} "
        )
        self._right = ByConnection(lookup, lambda c: connection(c.local, c.remote) + "\n")

    def begin(self, width: int | None) -> str:  # noqa: ARG002 # as TextEvents has it
        """The header line."""
        return _ROW.format(*_BEFORE, self._size, "CONNECTION", time=self._time)

    def events(self, item: Events, width: int | None) -> str:  # noqa: ARG002 # likewise
        """A line for each event."""
        left, middle, right = self._left[item.pid, item.comm], self._middle, self._right
        milli, micro, size = self._milli, self._micro, self._bytes
        offset = item.wall_offset - self._start
        return "".join(
            [
                f"{milli[(wall := ns + offset) // 1_000_000]}{micro[wall // 1000 % 1000]}"
                f"{left[dir_][tid]}{middle[call][conn]}{size[count]}{right[conn]}"
                for ns, tid, conn, count, dir_, call in self._rows(item.data)
            ]
        )

    def forget(self) -> None:
        """Look connections up anew."""
        self._middle.clear()
        self._right.clear()


def _left(process: tuple[int, str], palette: Palette) -> Cache[int, Cache[int, str]]:
    pid, comm = process
    names, name = layout.load().names("DIR"), printable(comm)

    def by_thread(dir_: int) -> Cache[int, str]:
        way = f"{palette.direction(dir_)}{names.get(dir_, '?').upper():<4}{palette.end}"
        return Cache(lambda tid: f" {way} {pid:<7} {tid:<7} {name:<15} ")

    return Cache(by_thread, 256)


def _middle(lookup: Callable[[int], Connection], call: str) -> ByConnection[str]:
    shown = "-" if call == "unknown" else call
    return ByConnection(lookup, lambda c: f"{shown:<10} {netid(c):<8} ")
