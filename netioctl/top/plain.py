"""What `top --once` and `top --json` print: samples for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netioctl.render.glyphs import Glyphs
from netioctl.render.json import line
from netioctl.top import view
from netioctl.top.columns import Column, fit
from netioctl.top.meter import Meter
from netioctl.top.model import Connection, Member, Model
from netioctl.top.order import Shown
from netioctl.top.state import State

#: Where nothing tells how wide it may be, as in a file.
_WIDE = 160


def table(model: Model, state: State, width: int | None, glyphs: Glyphs) -> str:
    """The rows as a table; without `width` wide enough for all columns but the sparkline."""
    columns = [column for column in state.columns if column.name != "rate"]
    # Whoever reads a file can do with a long line; names are not cut there.
    rows = state.rows(model)
    shown = fit(columns, _WIDE if width is None else width)
    if width is None:
        shown = [(column, _widest(column, size, rows, glyphs)) for column, size in shown]
    title = " ".join(glyphs.fit(c.title, size, right=c.right) for c, size in shown)
    lines = [title.rstrip()]
    for row in rows:
        cells = (view.text(row, column, size, glyphs) for column, size in shown)
        lines.append(" ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _widest(column: Column, size: int, rows: Sequence[Shown], glyphs: Glyphs) -> int:
    if column.least == column.most:
        return size
    cells = (2 * len(row.branch) + len(column.cell(row.entry, 1 << 16, glyphs)) for row in rows)
    return max(column.least, max(cells, default=0))


def objects(model: Model, state: State, wall: float) -> str:
    """The rows as JSON, one object a line; `wall` is when they were read (epoch seconds)."""
    return "".join(line(_object(row.entry, wall)) for row in state.rows(model))


def _object(entry: Member | Connection, wall: float) -> dict[str, Any]:
    process = entry.process
    known: dict[str, Any] = {"time": round(wall, 3), "pid": process.pid, "comm": process.comm}
    if isinstance(entry, Connection):
        ends = {
            "family": entry.family,
            "proto": entry.proto,
            "local": entry.local,
            "remote": entry.remote,
        }
        return {"type": "connection", **known, **ends, **_numbers(entry.meter)}
    own = {
        "start": process.start,
        "uid": process.uid,
        "user": process.user,
        "parent": process.parent or None,
        "exited": process.exited is not None,
        "since": round(process.since, 6),
    }
    return {"type": "process", **known, **own, **_numbers(entry.meter)}


def _numbers(meter: Meter) -> dict[str, Any]:
    rates = meter.rates
    return {
        "total": dict(meter.total._asdict()),
        "rate": None
        if rates is None
        else {name: round(rate, 3) for name, rate in rates._asdict().items()},
    }
