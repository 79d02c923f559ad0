"""A report for programs and for text: md, csv, json, parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from netioctl import stats
from netioctl.answers import Totals
from netioctl.recording.replay import Replay
from netioctl.render.words import printable, size
from netioctl.report.gather import Report
from netioctl.report.page import about, ends, missing
from netioctl.report.tables import TABLES
from netioctl.stream import Events
from netioctl.wire import layout
from netioctl.wire.errors import PrerequisiteError

_INTEGERS = frozenset(
    ("pid", "tid", "uid", "bytes", "sent_bytes", "recv_bytes", "send_ops", "recv_ops")
)
_TIMES = frozenset(("time", "since", "exited"))
#: Rows that are written at once.
_BATCH = 50_000


def rows(table: str, report: Report, replay: Replay) -> Iterator[tuple[Any, ...]]:
    """The rows of one of TABLES; times in epoch seconds."""
    if table == "events":
        yield from _events(replay)
    elif table == "throughput":
        for at, (sent, received) in enumerate(zip(report.sent.values, report.received.values)):
            time = round(report.first + at * report.step, 6)
            yield time, report.step, int(sent), int(received)
    elif table == "processes":
        for process in report.processes:
            total = stats.of(report.summary, (process.pid,)).total
            ended = report.exited.get(process.pid)
            yield process.pid, process.comm, process.uid, process.since, ended, *total
    else:
        names = {process.pid: process.comm for process in report.processes}
        for row in report.rows:
            yield row.pid, names.get(row.pid), *row[1:5], *row.total


def _events(replay: Replay) -> Iterator[tuple[Any, ...]]:
    calls, ways = layout.load().names("CALL"), layout.load().names("DIR")
    record = layout.load().structs["event"]
    while not replay.ended:
        for item in replay.read():
            if not isinstance(item, Events):
                continue
            for at in range(item.number):
                event = record.unpack(item.data, at * record.size)
                connection = replay.connection(event["conn"])
                call = calls.get(event["call"])
                yield (
                    (event["time"] + item.wall_offset) / 1e9, item.pid, event["tid"], item.comm,
                    ways.get(event["dir"]), event["bytes"], *connection[1:],
                    None if call == "unknown" else call,
                )  # fmt: skip


def csv_pieces(table: str, found: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Comma-separated values with a header line, in pieces to be written one after the other."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TABLES[table])
    for batch in _batches(found):
        writer.writerows([["" if v is None else _cell(v) for v in row] for row in batch])
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet calculates what begins so; a quote in front makes it text."""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return value


def check_parquet() -> None:
    """Whether pyarrow is there.

    Raises:
        PrerequisiteError: no; says where it is to be had.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise PrerequisiteError(
            f"parquet needs pyarrow ({error}): pip install pyarrow in a virtual environment, "
            "since Debian 12 has no package of it; or --format csv"
        ) from None


def write_parquet(path: str, table: str, found: Iterable[tuple[Any, ...]]) -> None:
    """An Apache Parquet file; times are timestamps in UTC, of microseconds."""
    import pyarrow
    import pyarrow.parquet

    def kind(name: str) -> Any:
        if name in _INTEGERS:
            return pyarrow.int64()
        if name in _TIMES:
            return pyarrow.timestamp("us", tz="UTC")
        return pyarrow.float64() if name == "seconds" else pyarrow.string()

    names = TABLES[table]
    schema = pyarrow.schema([(name, kind(name)) for name in names])
    times = [at for at, name in enumerate(names) if name in _TIMES]
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for batch in _batches(found):
            columns: list[Any] = list(map(list, zip(*batch)))
            for at in times:
                columns[at] = [None if t is None else round(t * 1e6) for t in columns[at]]
            arrays = [pyarrow.array(c, kind(n)) for c, n in zip(columns, names)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _batches(found: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in found:
        batch.append(row)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def as_json(report: Report) -> str:
    """One object with everything."""
    totals: Callable[[Totals], dict[str, int]] = lambda total: dict(total._asdict())  # noqa: E731
    value = {
        "type": "report",
        "file": report.path,
        "host": report.host,
        "kernel": report.kernel,
        "netio": report.netio,
        "began": round(report.began, 6),
        "until": round(report.until, 6),
        "events": report.events,
        "total": totals(report.summary.total),
        "exact": report.exact,
        "complete": report.summary.complete,
        "processes": [
            {
                "pid": process.pid,
                "comm": process.comm,
                "uid": process.uid,
                "exited": report.exited.get(process.pid),
                **totals(stats.of(report.summary, (process.pid,)).total),
            }
            for process in report.processes
        ],
        "connections": [
            {
                "pid": row.pid,
                "family": row.family,
                "proto": row.proto,
                "local": row.local,
                "remote": row.remote,
                **totals(row.total),
            }
            for row in report.rows
        ],
        "peers": [{"peer": name, **totals(total)} for name, total in report.peers],
        "throughput": {
            "began": round(report.first, 6),
            "step": report.step,
            "sent_bytes": [int(value) for value in report.sent.values],
            "recv_bytes": [int(value) for value in report.received.values],
            "by_process": {s.label: [int(v) for v in s.values] for s in report.by_process},
            "by_connection": {s.label: [int(v) for v in s.values] for s in report.by_connection},
        },
        "sizes": [
            {"below": 1 << at, "send_ops": sent, "recv_ops": received}
            for at, (sent, received) in enumerate(zip(report.sizes_sent, report.sizes_received))
            if sent or received
        ],
        "losses": [dict(loss._asdict()) for loss in report.losses],
        "problems": list(report.problems),
    }
    return json.dumps(value, separators=(",", ":")) + "\n"


def as_markdown(report: Report) -> str:
    """The same as text, with all connections."""
    out = io.StringIO()
    total = report.summary.total
    out.write(f"# Network report\n\n{_escaped(about(report))}\n\n")
    out.write("| | bytes | operations |\n| --- | ---: | ---: |\n")
    out.write(f"| sent | {size(total.sent_bytes)} | {total.send_ops:,} |\n")
    out.write(f"| received | {size(total.recv_bytes)} | {total.recv_ops:,} |\n\n")
    if lines := missing(report):
        out.write("".join(f"- {_escaped(line)}\n" for line in lines) + "\n")
    head = "sent | received | sends | receives |\n"
    out.write(f"## Processes\n\n| PID | name | {head}| ---: | --- |{' ---: |' * 4}\n")
    for process in report.processes:
        own = stats.of(report.summary, (process.pid,)).total
        out.write(f"| {process.pid} | {_escaped(process.comm)} | {_numbers(own)} |\n")
    out.write(f"\n## Peers\n\n| peer | {head}| --- |{' ---: |' * 4}\n")
    for name, own in report.peers:
        out.write(f"| {_escaped(name)} | {_numbers(own)} |\n")
    out.write(f"\n## Connections\n\n| PID | protocol | local | remote | {head}")
    out.write(f"| ---: | --- | --- | --- |{' ---: |' * 4}\n")
    for row in report.rows:
        local, remote = map(_escaped, ends(row))
        kind = _escaped(row.proto or row.family or "")
        out.write(f"| {row.pid} | {kind} | {local} | {remote} | {_numbers(row.total)} |\n")
    return out.getvalue()


def _numbers(total: Totals) -> str:
    return " | ".join(f"{value:,}" for value in total)


def _escaped(text: str) -> str:
    """`text` in a table of Markdown, where it is neither markup nor HTML."""
    marks = {char: f"\\{char}" for char in "\\`*_[]|~#"} | {"<": "&lt;", "&": "&amp;"}
    return "".join(marks.get(char, char) for char in printable(text))
