"""Totals as text: the block that ends a watch, and what `summary` prints."""

from __future__ import annotations

from netioctl import stats
from netioctl.answers import Row, Summary
from netioctl.render.words import connection, operations, printable, size

_WIDTH = 80


def summary(
    value: Summary,
    width: int | None,
    most: int | None = None,
    *,
    since_start: bool = False,
    skipped: int = 0,
    hidden: int | None = None,
) -> str:
    """The block of totals, connections by bytes; at most `most` of them.

    `width`: that of the terminal, None where it is none. `since_start`: what escaped is counted
    since netiod started, not since the totals are. `skipped`: events that were not shown, all of
    which are in the totals, as are those `hidden` by a filter; None: there was none.
    """
    rule = _WIDTH if width is None else min(width, _WIDTH)
    total = value.total
    lines = [
        "=" * rule,
        "SUMMARY STATISTICS",
        "=" * rule,
        f"Total Bytes Sent:     {size(total.sent_bytes)}",
        f"Total Bytes Received: {size(total.recv_bytes)}",
        f"Send Operations:      {total.send_ops:,}",
        f"Receive Operations:   {total.recv_ops:,}",
    ]
    if skipped:
        lines.append(f"Events Not Shown:     {skipped:,} (slow terminal)")
    if hidden is not None:
        lines.append(f"Events Hidden:        {hidden:,} (by the filter; totals have all traffic)")
    if not value.complete:
        lines += _lacking(value, since_start)
    lines += ["", "Per-Connection Statistics:", "-" * rule]
    rows = stats.heaviest_first(value.rows)
    names = {process.pid: process.comm for process in value.processes}
    for row in rows[:most]:
        lines.append(_ends(row) + (_whose(row, names) if len(names) > 1 else ""))
        lines.append(_bytes(row))
    if not rows:
        lines.append("(none)")
    if most is not None and len(rows) > most:
        rest = rows[most:]
        lines.append(f"({len(rest):,} more connections; --json shows all)")
        lines.append(_bytes(Row(0, None, None, None, None, stats.total(rest))))
    return "\n".join(lines) + "\n"


def _lacking(value: Summary, since_start: bool) -> list[str]:
    lines = ["Not complete:         netiod was restarted meanwhile"] if value.anew else []
    return lines if lines and not value.missed else lines + _escaped(value.missed, since_start)


def _escaped(missed: int, since_start: bool) -> list[str]:
    label, beside = "Not complete:         ", " " * 22
    if not missed:
        return [label + "some operations escaped the counters"]
    # Whose they were the kernel does not say.
    what = f"{label}up to {operations(missed)} escaped (of all processes"
    return [what + ",", beside + "since netiod started)"] if since_start else [what + ")"]


def _ends(row: Row) -> str:
    if row.family == stats.OTHER:
        return "(other connections)"
    if row.local is None and row.remote is None:
        # Two stars say nothing; what kind of socket it is does a little.
        kind = " ".join(printable(word) for word in (row.family, row.proto) if word)
        return connection(None, None) + (f" ({kind})" if kind else "")
    return connection(row.local, row.remote)


def _whose(row: Row, names: dict[int, str]) -> str:
    comm = names.get(row.pid)
    return f"  [PID {row.pid}, {printable(comm)}]" if comm else f"  [PID {row.pid}]"


def _bytes(row: Row) -> str:
    return f"  Sent: {row.total.sent_bytes:,} bytes, Recv: {row.total.recv_bytes:,} bytes"
