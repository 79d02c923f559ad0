"""The columns of both tables: what a cell says, what it sorts by, and which fit a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

from netioctl.render.glyphs import Glyphs
from netioctl.render.words import connection as ends
from netioctl.render.words import cut, short_size
from netioctl.stats import OTHER
from netioctl.top.meter import HISTORY, Meter
from netioctl.top.model import Connection, Member

_EXITED = " (exited)"
#: A row of a table.
Entry = Union[Member, Connection]


class Column(NamedTuple):
    """`least` and `most`: its width. `rank`: the lower, the narrower the screens that have it.

    `cell` is given the entry and the width. `ascending`: how its sort begins.
    """

    name: str
    title: str
    least: int
    most: int
    rank: int
    right: bool
    ascending: bool
    key: Callable[[Any], Any]
    cell: Callable[[Any, int, Glyphs], str]


def _rate(of: Callable[[Meter], float | None]) -> Callable[[Entry, int, Glyphs], str]:
    def cell(entry: Entry, _width: int, _glyphs: Glyphs) -> str:
        rate = of(entry.meter)
        return "-" if rate is None else short_size(round(rate))

    return cell


def _sent_rate(meter: Meter) -> float | None:
    return None if meter.rates is None else meter.rates.sent_bytes


def _recv_rate(meter: Meter) -> float | None:
    return None if meter.rates is None else meter.rates.recv_bytes


def _both_rate(meter: Meter) -> float | None:
    return None if meter.rates is None else meter.rates.bytes


def _ops_rate(meter: Meter) -> float | None:
    return None if meter.rates is None else meter.rates.ops


def _ops(entry: Entry, _width: int, _glyphs: Glyphs) -> str:
    rate = _ops_rate(entry.meter)
    return "-" if rate is None else f"{rate:,.0f}"


def _total(meter: Meter) -> int:
    return meter.total.sent_bytes + meter.total.recv_bytes


def _by(of: Callable[[Meter], float | None]) -> Callable[[Entry], float]:
    return lambda entry: of(entry.meter) or 0


def _comm(entry: Entry, width: int, glyphs: Glyphs) -> str:
    process = entry.process
    name = glyphs.text(process.comm)
    if process.exited is None:
        return name
    return cut(name, width - len(_EXITED)) + _EXITED


def _connection(entry: Connection, width: int, glyphs: Glyphs) -> str:
    if entry.family == OTHER:
        return "(other connections)"
    if entry.local is None and entry.remote is None:
        return f"* -> * ({glyphs.text(entry.family or '?')})"
    near, far = (None if end is None else glyphs.text(end) for end in (entry.local, entry.remote))
    return ends(near, far, width)


def _pid(entry: Entry, _width: int, _glyphs: Glyphs) -> str:
    return str(entry.pid)


_PID = Column("pid", "PID", 7, 7, 0, True, True, lambda e: e.pid, _pid)
_SENT_RATE = Column("sent-rate", "SENT/s", 9, 9, 2, True, False, _by(_sent_rate), _rate(_sent_rate))
_RECV_RATE = Column("recv-rate", "RECV/s", 9, 9, 3, True, False, _by(_recv_rate), _rate(_recv_rate))
_OPS = Column("ops", "OPS/s", 9, 9, 9, True, False, _by(_ops_rate), _ops)
_SENT = Column(
    *("sent", "SENT", 9, 9, 7, True, False),
    lambda e: e.meter.total.sent_bytes,
    lambda e, _w, _g: short_size(e.meter.total.sent_bytes),
)
_RECV = Column(
    *("recv", "RECV", 9, 9, 8, True, False),
    lambda e: e.meter.total.recv_bytes,
    lambda e, _w, _g: short_size(e.meter.total.recv_bytes),
)
_TOTAL = Column(
    *("total", "TOTAL", 9, 9, 4, True, False),
    lambda e: _total(e.meter),
    lambda e, _w, _g: short_size(_total(e.meter)),
)
_RATE = Column(
    *("rate", "RATE", 7, HISTORY, 5, False, False),
    _by(_both_rate),
    lambda e, width, glyphs: glyphs.sparkline(e.meter.history or (), width),
)

#: The tables; `flexible` has the room that others leave.
PROCESSES = (
    _PID,
    Column(
        *("user", "USER", 8, 8, 6, False, True),
        lambda e: e.user,
        lambda e, _w, glyphs: glyphs.text(e.user),
    ),
    Column("comm", "COMM", 14, 40, 1, False, True, lambda e: e.comm.lower(), _comm),
    _SENT_RATE,
    _RECV_RATE,
    _SENT._replace(rank=4),
    _RECV._replace(rank=5),
    _OPS,
    _RATE._replace(rank=7),
)
CONNECTIONS = (
    _PID,
    Column("comm", "COMM", 15, 15, 8, False, True, lambda e: e.process.comm.lower(), _comm),
    Column(
        *("proto", "PROTO", 6, 6, 7, False, True),
        lambda e: e.proto or "",
        lambda e, _w, glyphs: glyphs.text(e.proto or "-"),
    ),
    Column(
        *("connection", "CONNECTION", 32, 88, 1, False, True),
        lambda e: (e.local or "", e.remote or ""),
        _connection,
    ),
    _SENT_RATE,
    _RECV_RATE,
    _SENT._replace(rank=9),
    _RECV._replace(rank=10),
    _TOTAL,
    _OPS._replace(rank=11),
    _RATE._replace(rank=6),
)
#: Names that --sort takes.
NAMES = tuple(dict.fromkeys(column.name for column in (*PROCESSES, *CONNECTIONS)))


def named(columns: Sequence[Column], name: str) -> Column:
    """The column of that name; where this table has none, that of the rate."""
    found = [column for column in columns if column.name == name]
    return found[0] if found else next(column for column in columns if column.name == "rate")


def fit(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit `width`, one space apart, each with its own; at least one."""
    room = width
    chosen: set[str] = set()
    for column in sorted(columns, key=lambda column: column.rank):
        need = column.least + (1 if chosen else 0)
        if need > room and chosen:
            break
        chosen.add(column.name)
        room -= need
    widths = {column.name: column.least for column in columns if column.name in chosen}
    # Names and addresses first: a longer sparkline is nice, a whole address is needed.
    for column in sorted(columns, key=lambda column: column.rank):
        if column.name in chosen and column.most > column.least:
            more = max(0, min(room, column.most - column.least))
            widths[column.name] += more
            room -= more
    return [(column, widths[column.name]) for column in columns if column.name in chosen]
