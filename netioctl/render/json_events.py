"""Events as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from netioctl import failures
from netioctl.render.columns import ByConnection, Cache, event_rows
from netioctl.render.json import line
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.answers import Totals
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection


class JsonEvents:
    """Draws what a stream's Reader returns, a million lines a second.

    Only time and byte count of an event are new; the text between and behind them is made once
    for each thread and for each connection.
    """

    def __init__(self, lookup: Callable[[int], Connection], *, failed: bool = False) -> None:
        self._rows = event_rows("time", "tid", "conn", "bytes", "dir", "call", failed=failed)
        self._failed = failed
        self._middle: Cache[tuple[int, str], Cache[int, Cache[int, str]]] = Cache(_middle, 1000)
        calls = layout.load().names("CALL")
        self._end: Cache[int, ByConnection[str]] = Cache(lambda c: _end(lookup, calls.get(c)), 256)

    def begin(self, width: int | None) -> str:  # noqa: ARG002 # as TextEvents has it
        """Nothing."""
        return ""

    def events(self, item: Events, width: int | None) -> str:  # noqa: ARG002 # likewise
        """A line for each event."""
        middle, end, offset = self._middle[item.pid, item.comm], self._end, item.wall_offset
        rows = self._rows(item.data)
        if self._failed:
            rows = (
                (ns, tid, conn, f'0,"error":{json.dumps(failures.name(error))}', dir_, call)
                for ns, tid, conn, error, dir_, call in rows
            )
        # The last nine digits of nanoseconds are the fraction, of which six are shown.
        return "".join(
            [
                f'{{"type":"event","time":{(text := str(ns + offset))[:-9]}.{text[-9:-3]}'
                f"{middle[dir_][tid]}{size}{end[call][conn]}"
                for ns, tid, conn, size, dir_, call in rows
            ]
        )

    def lost(self, item: Lost) -> str:
        """The object that stands where events are missing."""
        return line({"type": "lost", "events": item.events, "stage": item.stage})

    def interrupted(self, seconds: float, events: int | None) -> str:
        """The object that stands where there was no stream."""
        return line({"type": "interrupted", "seconds": round(seconds, 3), "events": events})

    def missed(self, operations: int) -> str:
        """The object that tells of operations that escaped the kernel's hooks."""
        return line({"type": "missed", "operations": operations})

    def skipped(self, seconds: float, what: Totals) -> str:
        """The object that stands where a terminal was too slow for the events."""
        events = what.send_ops + what.recv_ops
        known = {"type": "skipped", "seconds": round(seconds, 3), "events": events}
        return line({**known, **what._asdict()})

    def forget(self) -> None:
        """Look connections up anew."""
        self._end.clear()


def _end(lookup: Callable[[int], Connection], call: str | None) -> ByConnection[str]:
    def make(connection: Connection) -> str:
        known = {
            "family": connection.family,
            "proto": connection.proto,
            "local": connection.local,
            "remote": connection.remote,
            "call": None if call == "unknown" else call,
        }
        return "," + line(known)[1:]

    return ByConnection(lookup, make)


def _middle(process: tuple[int, str]) -> Cache[int, Cache[int, str]]:
    pid, comm = process
    names, name = layout.load().names("DIR"), json.dumps(comm)

    def by_thread(dir_: int) -> Cache[int, str]:
        way = json.dumps(names.get(dir_))
        return Cache(lambda tid: f',"pid":{pid},"tid":{tid},"comm":{name},"dir":{way},"bytes":')

    return Cache(by_thread, 256)
