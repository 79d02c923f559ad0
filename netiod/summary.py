"""Totals and rows of connections, from the kernel's counters."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from netiod.connections import Connections
from netiod.holding import Holding
from netiod.holdings import COUNTERS, Holdings

#: Connections between two yields: they take less than a millisecond.
_PIECE = 16


def summarize(
    holdings: Holdings, connections: Connections, holding: Holding
) -> Generator[None, None, tuple[dict[str, int], list[dict[str, Any]]]]:
    """(total, rows) of one process; the rows add up to the total. Yields between pieces of work.

    The kernel counts an operation's row before its process's total. So with the total read
    first, the rows hold at least as much; what the total has more are bytes without a row.
    """
    total = holdings.totals(holding)
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, (words, conn) in enumerate(connections.rows(holding.pid, holding.start)):
        if number % _PIECE == 0:
            yield
        row = merged.setdefault(
            words,
            {
                "pid": holding.pid,
                "family": words.family,
                "proto": words.proto,
                "local": words.local,
                "remote": words.remote,
                **dict.fromkeys(COUNTERS, 0),
            },
        )
        for name in COUNTERS:
            row[name] += conn[name]
    rows = list(merged.values())
    sums = {name: sum(row[name] for row in rows) for name in COUNTERS}
    other = {name: max(0, total[name] - sums[name]) for name in COUNTERS}
    if any(other.values()):
        rows.append(
            {
                "pid": holding.pid,
                "family": "other",
                "proto": None,
                "local": None,
                "remote": None,
                **other,
            }
        )
    return {name: sums[name] + other[name] for name in COUNTERS}, rows
