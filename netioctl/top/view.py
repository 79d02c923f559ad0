"""From what is known and chosen to lines of styled text, for a screen of any size. No terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from netioctl.answers import Totals
from netioctl.render.glyphs import Glyphs, columns
from netioctl.render.words import short_size
from netioctl.top.columns import Column, fit
from netioctl.top.meter import HISTORY, Rates
from netioctl.top.model import Model
from netioctl.top.order import Shown
from netioctl.top.state import State

#: Lines on a screen that has room for more than rows: two of rates below one that names it all.
_ROOMY, _HEAD = 9, 3
#: Lines of notes, at most.
_NOTES = 2


class Span(NamedTuple):
    """A piece of a line; what a `style` looks like is the terminal's affair.

    `plain`, `title`, `head`, `sorted`, `chosen`, `dim`, `warn`, `sent`, `received`, `spark`.
    """

    text: str
    style: str = "plain"


#: The spans of a line, from the left.
Line = list[Span]


class Frame(NamedTuple):
    """What stands around the table: `notes` above it, and how often it is made anew (s)."""

    clock: str
    interval: float
    notes: Sequence[str]


def page(height: int, notes: int) -> int:
    """How many rows are seen on a screen of that height."""
    above = _HEAD if height >= _ROOMY else 0
    footer = 1 if height >= 4 else 0
    return max(0, height - above - min(notes, _NOTES) - 1 - footer)


def draw(
    model: Model, state: State, frame: Frame, size: tuple[int, int], glyphs: Glyphs
) -> list[Line]:
    """The lines for a screen of `size` (columns, lines): no more of them, and none wider."""
    width, height = size
    if state.help:
        return [[Span(glyphs.fit(line, width))] for line in HELP.splitlines()[:height]]
    room = page(height, len(frame.notes))
    state.place(model, room)
    rows = state.rows(model)
    lines: list[Line] = []
    if height >= _ROOMY:
        lines += _head(model, state, frame, width, len(rows), glyphs)
    lines += [[Span(glyphs.fit(note, width), "warn")] for note in frame.notes[:_NOTES]]
    shown = _columns(state, width)
    state.seen = [column for column, _ in shown]
    lines.append(_titles(shown, state, width, glyphs))
    for at in range(state.top, min(len(rows), state.top + room)):
        lines.append(_row(rows[at], shown, at == state.at, width, glyphs))
    if not rows and room:
        lines.append([Span(glyphs.fit(_why_empty(model, state), width), "dim")])
    if height >= 4:
        lines += [[] for _ in range(height - 1 - len(lines))]
        lines.append(_footer(state, width, glyphs))
    return lines[:height]


def _columns(state: State, width: int) -> list[tuple[Column, int]]:
    wanted = state.columns
    if state.only is not None:
        # The same on each line: it stands above.
        wanted = [column for column in wanted if column.name not in ("pid", "comm")]
    return fit(wanted, width)


def _head(
    model: Model, state: State, frame: Frame, width: int, count: int, glyphs: Glyphs
) -> list[Line]:
    first = f"netioctl top  {frame.clock}  {_what(model, state, count, glyphs)}"
    last = "PAUSED" if state.paused else f"every {frame.interval:g} s"
    first = glyphs.fit(first, max(0, width - len(last) - 1)) + " " + last
    title: Line = [Span(glyphs.fit(first, width), "warn" if state.paused else "title")]
    only = state.only
    if only is not None:
        # The rows below have the course of each connection.
        meter = only.meter
        return [
            title,
            _flow("Sent", meter.rates, meter.total, None, width, glyphs),
            _flow("Received", meter.rates, meter.total, None, width, glyphs),
        ]
    rates = model.rates if model.rated else None
    return [
        title,
        _flow("Sent", rates, model.total, model.sent, width, glyphs),
        _flow("Received", rates, model.total, model.received, width, glyphs),
    ]


def _what(model: Model, state: State, count: int, glyphs: Glyphs) -> str:
    members = model.members.values()
    living = sum(member.exited is None for member in members)
    if state.only is not None:
        whose = f"{state.only.pid} ({glyphs.text(state.only.comm)})"
        end = ", which has exited" if state.only.exited is not None else ""
        text = f"{_counted(count, 'connection')} of {whose}{end}"
    elif state.connections:
        text = f"{_counted(count, 'connection')} of {_counted(living, 'process')}"
    else:
        text = _counted(count if state.text or state.active else living, "process")
    if state.active:
        text += ", active ones"
    if state.text:
        text += f", filter: {glyphs.text(state.text)}"
    return text


def _counted(count: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{count:,} {noun if count == 1 else plural}"


def _flow(
    label: str,
    rates: Rates | None,
    total: Totals,
    history: deque[float] | None,
    width: int,
    glyphs: Glyphs,
) -> Line:
    at = 0 if label == "Sent" else 1
    now = "-" if rates is None else f"{short_size(round(rates[at]))}/s"
    begin = f"{label:8} {now:>11}  "
    end = f"  {short_size(total[at]):>9} in all"
    room = width - len(begin) - len(end)
    if room < 0:
        return [Span(glyphs.fit(begin, width))]
    line = glyphs.sparkline(history or (), min(room, HISTORY))
    return [Span(begin), Span(line, "received" if at else "sent"), Span(end)]


def _titles(shown: Sequence[tuple[Column, int]], state: State, width: int, glyphs: Glyphs) -> Line:
    line: Line = []
    for column, size in shown:
        title, sort = column.title, column is state.sort
        if sort:
            down = column.ascending == state.reverse
            title += glyphs.plain("▼" if down else "▲")
        cell = glyphs.fit(title, size, right=column.right)
        line += [Span(cell, "sorted" if sort else "head"), Span(" ", "head")]
    return _filled(line[:-1], width, "head")


def _row(
    row: Shown, shown: Sequence[tuple[Column, int]], selected: bool, width: int, glyphs: Glyphs
) -> Line:
    entry, line = row.entry, []
    for column, size in shown:
        cell = text(row, column, size, glyphs)
        line += [Span(cell, "spark" if column.name == "rate" else "plain"), Span(" ")]
    line = _filled(line[:-1], width, "plain")
    if selected:
        return [Span(span.text, "chosen") for span in line]
    if entry.process.exited is not None:
        return [Span(span.text, "dim") for span in line]
    return line


def text(row: Shown, column: Column, width: int, glyphs: Glyphs) -> str:
    """What a cell says, in exactly `width` columns."""
    branch = ""
    if column.name == "comm" and row.branch:
        branch = glyphs.plain(_branch(row.branch, width))
    cell = branch + column.cell(row.entry, width - len(branch), glyphs)
    return glyphs.fit(glyphs.plain(cell), width, right=column.right)


def _branch(branch: Sequence[bool], width: int) -> str:
    """The lines of a tree before a name that keeps a third of the width at least."""
    text = "".join("│ " if more else "  " for more in branch[:-1])
    text += "├─" if branch[-1] else "└─"
    most = max(0, width * 2 // 3)
    return text if len(text) <= most else "…" + text[len(text) - most + 1 :]


def _filled(line: Line, width: int, style: str) -> Line:
    """The line cut or filled to the whole width, for styles that are seen on blanks too."""
    kept, room = [], width
    for span in line:
        if columns(span.text) > room:
            kept.append(Span(span.text[:room], span.style))
            room = 0
            break
        kept.append(span)
        room -= columns(span.text)
    return [*kept, Span(" " * room, style)] if room else kept


def _why_empty(model: Model, state: State) -> str:
    if state.text or state.active:
        return "nothing matches: Esc or i shows all again"
    if state.connections:
        return "no connection has moved anything yet"
    return "waiting for processes" if not model.members else ""


def _footer(state: State, width: int, glyphs: Glyphs) -> Line:
    if state.typing:
        # What is typed last is what is looked at.
        text = f"filter: {glyphs.text(state.text)}_"
        return [Span(glyphs.fit(text[-width:] if width else "", width), "title")]
    other = "processes" if state.connections else "connections"
    words = ["q quit", "h help", "p go on" if state.paused else "p pause", "s sort"]
    words += ["/ filter", "Esc back" if state.only is not None else "Enter open", f"c {other}"]
    words += [] if state.connections else ["t tree"]
    text = ""
    # Only whole ones: h has them all.
    for word in words:
        if len(text) + len(word) <= width:
            text += word + "  "
    return [Span(glyphs.fit(text, width), "dim")]


HELP = """\
netioctl top

  q             quit                      p, space   pause, go on
  c             processes, connections    Enter      one process's connections
  t             tree of processes         Esc        back; no filter
  s, >, right   sort by the next column   i          active ones only
  <, left       by the column before      /          filter: words, all of which
  r             the other way round                  are in PID, name, user or
  h, ?          this page                            addresses; Enter keeps it
  up, down, page up, page down, Home, End   move; what is chosen stays so

SENT/s and RECV/s are bytes in a second, since the sample before; 1 KB is
1,024 bytes. RATE draws the sum of both in the last samples, each row to its
own scale. SENT, RECV and TOTAL are since the process was attached, by this
top or by whoever held it already: the kernel's counters, exact to the byte.
A process that has exited stays for ten seconds.

Any key goes back.
"""
