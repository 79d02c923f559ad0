"""Events as numpy arrays, one a column. Public Python API; imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.stream import Events


def columns(events: Events) -> dict[str, np.ndarray[Any, Any]]:
    """Columns by name, as pandas.DataFrame takes them; each has `events.number` elements.

    `time` (datetime64[ns], UTC), `pid`, `comm` (not safe for a terminal), `tid`, `dir` (`send` or
    `recv`), `call` (as the kernel names it; None: unknown), `bytes`, `conn` (what
    Session.connection takes; 0: the connection has no row), `error` (errno of an operation that
    failed; 0: it did not).
    """
    known = layout.load()
    record = np.frombuffer(events.data, layout.dtype(known.structs["event"]), events.number)
    wall = record["time"].astype(np.int64) + events.wall_offset
    calls = {**known.names("CALL"), known.constants["NETIO_CALL_UNKNOWN"]: None}
    return {
        "time": wall.astype("datetime64[ns]"),
        "pid": np.full(events.number, events.pid, np.int64),
        "comm": np.full(events.number, events.comm, object),
        "tid": record["tid"].astype(np.int64),
        "dir": _named(record["dir"], known.names("DIR")),
        "call": _named(record["call"], calls),
        "bytes": record["bytes"].astype(np.int64),
        "conn": record["conn"].astype(np.int64),
        "error": record["error"].astype(np.int64),
    }


def _named(codes: np.ndarray[Any, Any], names: dict[int, Any]) -> np.ndarray[Any, Any]:
    table = np.full(256, None, object)
    for code, name in names.items():
        table[code] = name
    named: np.ndarray[Any, Any] = table[codes]
    return named
