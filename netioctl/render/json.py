"""JSON: one object a line, all of it ASCII, so that no name can harm a terminal."""

from __future__ import annotations

import json
from typing import Any

from netioctl.answers import Held, Process, Row, Standing, Summary, Totals


def line(value: dict[str, Any]) -> str:
    """One object as a line; characters beyond ASCII are escaped."""
    return json.dumps(value, separators=(",", ":")) + "\n"


def selector(standing: Standing) -> str:
    """A selector that was added."""
    return line({"type": "selector", **standing._asdict()})


def began(process: Process, parent: int | None) -> str:
    """A process is watched from now on."""
    return line({"type": "began", "pid": process.pid, "comm": process.comm, "parent": parent})


def exited(pid: int) -> str:
    """A watched process is gone."""
    return line({"type": "exit", "pid": pid})


def summary(value: Summary, skipped: int = 0, hidden: int | None = None) -> str:
    """Totals and connections; `skipped` events, if any, were not shown, and a filter hid `hidden`.

    None: there was no filter.
    """
    return line(
        {
            "type": "summary",
            "total": _totals(value.total),
            "connections": [_row(row) for row in value.rows],
            "complete": value.complete,
            "missed": value.missed,
            "since": round(value.since, 6),
            "until": round(value.until, 6),
            **({"skipped": skipped} if skipped else {}),
            **({} if hidden is None else {"hidden": hidden}),
        }
    )


def held(value: Held, user: str) -> str:
    """A row of list; `user` is the name of the process's uid."""
    process = value.process
    return line(
        {
            "type": "process",
            "pid": process.pid,
            "start": process.start,
            "comm": process.comm,
            "uid": process.uid,
            "user": user,
            "since": round(process.since, 6),
            "added_by": value.added_by,
            "viewers": value.viewers,
            "exited": value.exited,
            "total": _totals(value.total),
        }
    )


def status(value: dict[str, Any]) -> str:
    """The daemon's status, as it tells it."""
    return line({"type": "status", **value})


def _row(row: Row) -> dict[str, Any]:
    return {
        "pid": row.pid,
        "family": row.family,
        "proto": row.proto,
        "local": row.local,
        "remote": row.remote,
        **_totals(row.total),
    }


def _totals(totals: Totals) -> dict[str, int]:
    return dict(totals._asdict())
