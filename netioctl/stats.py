"""Sums and differences of counters: pure functions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from netioctl.answers import Row, Summary, Totals

#: The family of the row that stands for all connections without one.
OTHER = "other"
_ZERO = Totals()
_Key = tuple[int, "str | None", "str | None", "str | None", "str | None"]


def add(left: Totals, right: Totals) -> Totals:
    """left + right, counter by counter."""
    return Totals(
        left.sent_bytes + right.sent_bytes,
        left.recv_bytes + right.recv_bytes,
        left.send_ops + right.send_ops,
        left.recv_ops + right.recv_ops,
    )


def of(value: Summary, pids: Container[int]) -> Summary:
    """What a summary says of `pids`."""
    rows = tuple(row for row in value.rows if row.pid in pids)
    processes = tuple(process for process in value.processes if process.pid in pids)
    return value._replace(rows=rows, processes=processes, total=total(rows))


def minus(left: Totals, right: Totals) -> Totals:
    """left - right, counter by counter."""
    return Totals(
        left.sent_bytes - right.sent_bytes,
        left.recv_bytes - right.recv_bytes,
        left.send_ops - right.send_ops,
        left.recv_ops - right.recv_ops,
    )


def total(rows: Iterable[Row]) -> Totals:
    """The sum of rows."""
    result = _ZERO
    for row in rows:
        result = add(result, row.total)
    return result


def merge(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows whose words are equal as one: two unnamed unix sockets cannot be told apart."""
    return _rows(_by_words(rows))


def heaviest_first(rows: Iterable[Row]) -> list[Row]:
    """Rows by bytes in both directions, descending; equal ones by their words."""
    return sorted(
        rows,
        key=lambda r: (
            -(r.total.sent_bytes + r.total.recv_bytes),
            r.pid,
            r.local or "",
            r.remote or "",
        ),
    )


def combine(parts: Sequence[Summary]) -> Summary:
    """One summary of several, which speak of different processes."""
    result = _ZERO
    for part in parts:
        result = add(result, part.total)
    return Summary(
        result,
        tuple(row for part in parts for row in part.rows),
        tuple(process for part in parts for process in part.processes),
        tuple(failure for part in parts for failure in part.errors),
        all(part.complete for part in parts),
        min((part.since for part in parts), default=0.0),
        max((part.until for part in parts), default=0.0),
        # Each tells the count of all processes.
        max((part.missed for part in parts), default=0),
    )


def subtract(end: Summary, base: Summary) -> Summary:
    """What was counted between two summaries of the same processes; rows add up to the total.

    A row that is smaller at the end than at the beginning has made room for others meanwhile:
    its bytes have moved to the `other` row of its process, and so does the difference. Where
    `other` itself has shrunk, rows that were not known before have taken from it. Where a whole
    process has less than before, its counters began anew: then all that it has at the
    end is taken, and the result is not complete. What had escaped before is not missing here.
    """
    before, after = _by_words(base.rows), _by_words(end.rows)
    had, has = _by_process(before), _by_process(after)
    anew = {pid for pid in had if min(minus(has.get(pid, _ZERO), had[pid])) < 0}
    result: dict[_Key, Totals] = {}
    for key in (*after, *(key for key in before if key not in after)):
        pid = key[0]
        start = _ZERO if pid in anew else before.get(key, _ZERO)
        change = minus(after.get(key, _ZERO), start)
        place = _other(pid) if min(change) < 0 else key
        result[place] = add(result.get(place, _ZERO), change)
    for pid in {key[0] for key in result}:
        _cover(result, pid, before)
    rows = tuple(row for row in _rows(result) if row.total != _ZERO)
    missed = max(0, end.missed - base.missed)
    complete = end.complete or (end.missed > 0 and not missed)
    return Summary(
        total(rows),
        rows,
        end.processes,
        end.errors,
        complete and not anew,
        base.until,
        end.until,
        missed,
        bool(anew),
    )


def _cover(result: dict[_Key, Totals], pid: int, before: dict[_Key, Totals]) -> None:
    """Make up for what `other` has less than nothing, from rows that are new if they suffice."""
    lacking = result.get(_other(pid), _ZERO)
    if min(lacking) >= 0:
        return
    keys = [key for key in result if key[0] == pid and key != _other(pid)]
    keys.sort(key=lambda key: (key in before, -sum(result[key])))
    for key in keys:
        taken = Totals(*(min(have, -min(0, lack)) for have, lack in zip(result[key], lacking)))
        result[key] = minus(result[key], taken)
        lacking = add(lacking, taken)
    result[_other(pid)] = lacking


def _other(pid: int) -> _Key:
    return (pid, OTHER, None, None, None)


def _by_words(rows: Iterable[Row]) -> dict[_Key, Totals]:
    result: dict[_Key, Totals] = {}
    for row in rows:
        key = (row.pid, row.family, row.proto, row.local, row.remote)
        result[key] = add(result[key], row.total) if key in result else row.total
    return result


def _rows(by_words: dict[_Key, Totals]) -> tuple[Row, ...]:
    return tuple(Row(*key, counters) for key, counters in by_words.items())


def _by_process(by_words: dict[_Key, Totals]) -> dict[int, Totals]:
    result: dict[int, Totals] = {}
    for key, counters in by_words.items():
        result[key[0]] = add(result.get(key[0], _ZERO), counters)
    return result
