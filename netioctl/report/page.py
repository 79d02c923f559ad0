"""A report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from html import escape

from netioctl import stats
from netioctl.answers import Row, Totals
from netioctl.render.words import events, printable, short_size, span
from netioctl.report.charts import Chart, charts
from netioctl.report.gather import Report
from netioctl.report.style import CSS, SCRIPT

#: Rows of a table: what a phone can sort at once.
_MOST_ROWS = 1000
#: What a page that is opened from a disk may do: show itself.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(report: Report) -> str:
    """The page. Names that processes chose are text in it, whatever they look like."""
    title = f"{_who(report)}: network report"
    parts = [
        f"<h1>{escape(_who(report))}</h1>",
        f'<p class="about">{escape(about(report))}</p>',
        _tiles(report),
        _missing(report),
        *(_figure(chart) for chart in charts(report)),
        _processes(report),
        _connections(report),
        f"<footer>netio {escape(report.netio)}; 1 KB is 1,024 bytes. Bytes as the sockets moved "
        "them, without headers of TCP, UDP and IP.</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def about(report: Report) -> str:
    """One line: when, how long, where."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report.began))
    lasted = report.until - report.began
    length = f"{lasted:.1f} s" if lasted < 60 else span(lasted)
    where = " on " + report.host if report.host else ""
    kernel = f" (kernel {report.kernel})" if report.kernel else ""
    return f"{began}, {length}{where}{kernel}; from {report.path}"


def missing(report: Report) -> list[str]:
    """Lines about all that is not there."""
    lines = list(report.problems)
    if not report.exact:
        lines.append("Totals are the sum of the events shown, not the kernel's counters.")
    if report.summary.missed:
        lines.append(
            f"Up to {report.summary.missed:,} operations (of all processes) escaped the counters."
        )
    elif not report.summary.complete and report.exact:
        lines.append("Totals may lack some operations.")
    for loss in report.losses:
        when = time.strftime("%H:%M:%S", time.localtime(loss.time))
        count = "an unknown number of" if loss.missing is None else f"{loss.missing:,}"
        lines.append(f"{when}: {count} {loss.what}")
    return lines


def _who(report: Report) -> str:
    names = [f"{p.pid} ({printable(p.comm)})" for p in report.processes[:3]]
    more = len(report.processes) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "") or "No process"


def _tiles(report: Report) -> str:
    total = report.summary.total
    named = [row for row in report.rows if row.family != stats.OTHER]
    tiles = [
        (short_size(total.sent_bytes), "sent"),
        (short_size(total.recv_bytes), "received"),
        (f"{total.send_ops + total.recv_ops:,}", "operations"),
        (f"{len(named):,}", "connections"),
        (f"{len(report.processes):,}", "processes"),
        (f"{report.lost:,}" if report.lost else "none", "events lost"),
    ]
    cells = [f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in tiles]
    return f'<div class="tiles">{"".join(cells)}</div>'


def _missing(report: Report) -> str:
    lines = missing(report)
    if not lines:
        return ""
    what = "Not everything is here"
    if report.lost:
        what = f"{events(report.lost)} lost" + ("; totals have them" if report.exact else "")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="bad" id="losses"><h2>{escape(what)}</h2><ul>{items}</ul></div>'


def _figure(chart: Chart) -> str:
    name = escape(chart.title, quote=True)
    pictures = "".join(
        f'<div class="{kind}" role="img" aria-label="{name}">{svg}</div>'
        for kind, svg in (("wide", chart.wide), ("narrow", chart.narrow))
    )
    legend = "".join(
        f'<li><i style="background:var(--{colour})"></i>{escape(label)}</li>'
        for label, colour in chart.legend
    )
    return (
        f'<section class="chart"><h2>{name}</h2><p class="about">{escape(chart.about)}</p>'
        f'{pictures}<ul class="legend">{legend}</ul></section>'
    )


_Cell = tuple[str, "int | None", str]


def _processes(report: Report) -> str:
    cells: list[list[_Cell]] = []
    for process in report.processes:
        own = stats.of(report.summary, (process.pid,)).total
        ended = report.exited.get(process.pid)
        state = "" if ended is None else time.strftime("exited %H:%M:%S", time.localtime(ended))
        cells.append(
            [
                (str(process.pid), process.pid, "number"),
                (printable(process.comm), None, ""),
                *_counters(own),
                (state, None, ""),
            ]
        )
    heads = [("PID", "number"), ("Name", ""), *_COUNTERS, ("State", "")]
    return _table("Processes", "", heads, cells)


def _connections(report: Report) -> str:
    names = {process.pid: printable(process.comm) for process in report.processes}
    cells: list[list[_Cell]] = []
    for row in report.rows[:_MOST_ROWS]:
        local, remote = ends(row)
        cells.append(
            [
                (f"{row.pid} {names.get(row.pid, '')}".strip(), row.pid, ""),
                (row.proto or row.family or "", None, ""),
                (local, None, "end"),
                (remote, None, "end"),
                *_counters(row.total),
            ]
        )
    heads = [("Process", ""), ("Protocol", ""), ("Local", ""), ("Remote", ""), *_COUNTERS]
    note = ""
    if len(report.rows) > _MOST_ROWS:
        note = f"The heaviest {_MOST_ROWS:,} of {len(report.rows):,}; --format csv has all."
    return _table("Connections", note, heads, cells, searched=True)


_COUNTERS = [
    ("Sent", "number"),
    ("Received", "number"),
    ("Sends", "number"),
    ("Receives", "number"),
]


def _counters(total: Totals) -> list[_Cell]:
    return [
        (short_size(total.sent_bytes), total.sent_bytes, "number"),
        (short_size(total.recv_bytes), total.recv_bytes, "number"),
        (f"{total.send_ops:,}", total.send_ops, "number"),
        (f"{total.recv_ops:,}", total.recv_ops, "number"),
    ]


def ends(row: Row) -> tuple[str, str]:
    """A connection's two ends in words."""
    if row.family == stats.OTHER:
        return "(other connections)", ""
    # As elsewhere, * is what is not known.
    return printable(row.local or "*"), printable(row.remote or "*")


def _table(
    title: str,
    note: str,
    heads: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[_Cell]],
    *,
    searched: bool = False,
) -> str:
    head = "".join(
        f'<th scope="col"{_class(kind)}><button type="button">{name}</button></th>'
        for name, kind in heads
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(kind)}{_value(value)}>{escape(text)}</td>" for text, value, kind in row
        )
        + "</tr>"
        for row in rows
    )
    search = '<input type="search" aria-label="Filter rows" placeholder="Filter">'
    return (
        f'<section class="table"><h2>{title}</h2><p class="about">{escape(note)}</p>'
        f'{search if searched else ""}<div class="scroll"><table class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _value(value: int | None) -> str:
    return "" if value is None else f' data-value="{value}"'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
