"""What a watch reads, to and from the JSON of a recording. docs/RECORDING.md has the forms."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from netioctl import answers
from netioctl.answers import Process, Row, Summary
from netioctl.recording.format import EARLIEST, LATEST, Damaged
from netioctl.render.words import printable
from netioctl.watching import Began, Escaped, Gone, Interrupted, Waiting
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import ProtocolError

_U32 = 0xFFFFFFFF
#: What comes of JSON that is not what it says.
_WRONG = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, ProtocolError)


class Run(NamedTuple):
    """So many events of one process, in a row; their bytes stand elsewhere."""

    pid: int
    comm: str
    wall_offset: int
    number: int


class Note(NamedTuple):
    """Anything else that a watch reads, and when it did (ns since the epoch)."""

    time: int
    item: Any


def pack_note(item: Any, now: int) -> list[Any] | None:
    """The JSON of an item that is not events; None for what need not be kept."""
    if isinstance(item, Began):
        return ["began", now, process(item.process), item.parent]
    if isinstance(item, Gone):
        return ["gone", now, process(item.process), item.reason]
    if isinstance(item, Interrupted):
        return ["interrupted", now, item.seconds, item.events]
    if isinstance(item, Escaped):
        return ["escaped", now, item.operations]
    if isinstance(item, Waiting):
        return None
    return ["lost", now, item.pid, item.events, item.stage]


def unpack(value: Any) -> Run | Note | None:
    """An entry of a block's items; None for one that this version does not know.

    Raises:
        Damaged: it is not what it says.
    """
    try:
        return _unpack(value)
    except _WRONG:
        raise Damaged("a block is damaged") from None


def _unpack(value: Any) -> Run | Note | None:
    from netioctl.stream import Lost

    kind, first = value[0], _integer(value[1])
    if kind == "events":
        _, pid, comm, offset, number = value
        if not isinstance(comm, str) or not 0 < _integer(number) <= _U32:
            raise TypeError
        return Run(first, comm, _integer(offset), number)
    if not EARLIEST <= first <= LATEST:
        raise ValueError
    if kind == "lost":
        _, _, pid, events, stage = value
        if stage not in ("kernel", "stream"):
            stage = printable(str(stage))
        return Note(first, Lost(_integer(pid), _count(events), stage))
    if kind == "began":
        parent = None if value[3] is None else _integer(value[3])
        return Note(first, Began(_process(value[2]), parent))
    if kind == "gone":
        reason = None if value[3] is None else str(value[3])
        return Note(first, Gone(_process(value[2]), reason))
    if kind == "interrupted":
        events = None if value[3] is None else _count(value[3])
        return Note(first, Interrupted(_seconds(float(value[2])), events))
    if kind == "escaped":
        return Note(first, Escaped(_count(value[2])))
    return None


def pack_connection(ident: int, value: Connection) -> list[Any]:
    """The JSON of a connection, by its id in events."""
    return [ident, *value]


def connections(values: Any) -> dict[int, Connection]:
    """The connections that a block's events use.

    Raises:
        Damaged: they are none.
    """
    try:
        found = {
            _integer(ident): Connection(_integer(pid), *map(_name, words))
            for ident, pid, *words in values
        }
        for each in found.values():
            _check_ends(each.family, each.local, each.remote)
        return found
    except _WRONG:
        raise Damaged("a block is damaged") from None


def process(value: Process) -> dict[str, Any]:
    """The JSON of a process, as the daemon writes it."""
    return value._asdict()


def processes(value: Any) -> tuple[Process, ...]:
    """A list of them.

    Raises:
        Damaged: it is none.
    """
    try:
        return tuple(_process(each) for each in value)
    except _WRONG:
        raise Damaged("a block is damaged") from None


def summary(value: Summary) -> dict[str, Any]:
    """The JSON of a summary without its rows."""
    return {
        "total": value.total._asdict(),
        "processes": [process(each) for each in value.processes],
        "errors": [each._asdict() for each in value.errors],
        "complete": value.complete,
        "since": value.since,
        "until": value.until,
        "missed": value.missed,
        "anew": value.anew,
    }


def row(value: Row) -> dict[str, Any]:
    """The JSON of a summary's row, as the daemon writes it."""
    known = value._asdict()
    return {**{name: known[name] for name in Row._fields[:-1]}, **value.total._asdict()}


def unpack_summary(value: Any, rows: list[Any]) -> Summary:
    """The summary of these.

    Raises:
        Damaged: they are none.
    """
    try:
        found = answers.summary(value, rows)
    except _WRONG:
        raise Damaged("a block is damaged") from None
    try:
        rows_ = tuple(_safe(each) for each in found.rows)
        for at in (found.since, found.until, *(each.since for each in found.processes)):
            _seconds(at)
    except _WRONG:
        raise Damaged("a block is damaged") from None
    return found._replace(rows=rows_, anew=value.get("anew") is True)


def _safe(row: Row) -> Row:
    family, proto, local, remote = map(_name, row[1:5])
    _check_ends(family, local, remote)
    return Row(row.pid, family, proto, local, remote, row.total)


def _process(value: Any) -> Process:
    found = answers.process(value)
    _seconds(found.since)
    return found


def _seconds(value: float) -> float:
    """Such as clocks can show."""
    if not 0 <= value <= LATEST / 1e9:
        raise ValueError
    return value


def _name(value: Any) -> str | None:
    """Live ones are printable already; whoever wrote a file may not have seen to it."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return None if value is None else printable(value)


def _check_ends(family: str | None, *ends: str | None) -> None:
    """Addresses are of their family, as everywhere."""
    kind = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(family or "")
    for end in ends:
        if kind is None or end is None:
            continue
        host, _, port = end.rpartition(":")
        if kind == socket.AF_INET6:
            host = host[1:-1] if host[:1] + host[-1:] == "[]" else ""
        try:
            socket.inet_pton(kind, host)
        except OSError:
            raise ValueError from None
        if not (port.isdecimal() and port.isascii() and len(port) <= 5 and int(port) <= 0xFFFF):
            raise ValueError


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LATEST:
        raise TypeError
    return value


def _count(value: Any) -> int:
    if _integer(value) < 0:
        raise TypeError
    return int(value)
