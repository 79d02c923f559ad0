"""Events as lines for people who want every column, however long the lines become."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netioctl.render import losses
from netioctl.render.columns import ByConnection, Cache, event_fields
from netioctl.render.words import clock, connection, printable
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.answers import Totals
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection

#: Columns of the longest: a time, a PID, task_struct.comm, a call's name, 32 bits of bytes.
_ROW = "{:<15} {:<4} {:<7} {:<7} {:<15} {:<10} {:<8} {:>13} {}\n"
_NAMES = ("TIME", "DIR", "PID", "TID", "COMM", "CALL", "PROTO", "BYTES", "CONNECTION")
#: How ss begins the name of a socket of these families; its type follows.
_LETTERS = {"unix": "u", "packet": "p", "vsock": "v"}


class WideEvents:
    """Draws what a stream's Reader returns, as TextEvents does; no line is cut, so no width counts.

    `lookup` tells the connection of an id; call `forget` when its answers change.
    """

    def __init__(self, lookup: Callable[[int], Connection]) -> None:
        self._fields = event_fields("time", "tid", "conn", "bytes", "dir", "call")
        seconds: Cache[int, str] = Cache(clock, 1000)
        # Six digits by two look-ups: to format a number costs more than all else on the line.
        self._milli: Cache[int, str] = Cache(
            lambda ms: f"{seconds[ms // 1000]}.{ms % 1000:03}", 5000
        )
        self._micro = [f"{n:03}" for n in range(1000)]
        self._left: Cache[tuple[int, str], Cache[int, Cache[int, str]]] = Cache(_left, 1000)
        calls = layout.load().names("CALL")
        self._middle: Cache[int, ByConnection] = Cache(
            lambda call: _middle(lookup, calls.get(call, "unknown")), 256
        )
        self._bytes: Cache[int, str] = Cache(lambda n: f"{n:>13,} ")
        self._right = ByConnection(lookup, lambda c: connection(c.local, c.remote) + "\n")

    def begin(self, width: int | None) -> str:  # noqa: ARG002 # as TextEvents has it
        """The header line."""
        return _ROW.format(*_NAMES)

    def events(self, item: Events, width: int | None) -> str:  # noqa: ARG002 # likewise
        """A line for each event."""
        left, middle, right = self._left[item.pid, item.comm], self._middle, self._right
        milli, micro, size, offset = self._milli, self._micro, self._bytes, item.wall_offset
        return "".join(
            [
                f"{milli[(wall := ns + offset) // 1_000_000]}{micro[wall // 1000 % 1000]}"
                f"{left[dir_][tid]}{middle[call][conn]}{size[count]}{right[conn]}"
                for ns, tid, conn, count, dir_, call in self._fields.iter_unpack(item.data)
            ]
        )

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
        self._middle.clear()
        self._right.clear()


def netid(connection: Connection) -> str:
    """The kind of a connection's socket as ss names it, `-` where unknown: tcp, u_str, nl ..."""
    family, proto = connection.family, connection.proto or ""
    if family in ("inet", "inet6"):
        return "icmp6" if proto == "icmpv6" else proto
    if family in _LETTERS:
        return f"{_LETTERS[family]}_{proto[:3]}"
    return "nl" if family == "netlink" else family or "-"


def _left(process: tuple[int, str]) -> Cache[int, Cache[int, str]]:
    pid, comm = process
    names, name = layout.load().names("DIR"), printable(comm)

    def by_thread(dir_: int) -> Cache[int, str]:
        way = names.get(dir_, "?").upper()
        return Cache(lambda tid: f" {way:<4} {pid:<7} {tid:<7} {name:<15} ")

    return Cache(by_thread, 256)


def _middle(lookup: Callable[[int], Connection], call: str) -> ByConnection:
    shown = "-" if call == "unknown" else call
    return ByConnection(lookup, lambda c: f"{shown:<10} {netid(c):<8} ")
