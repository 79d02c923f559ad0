"""The list of candidates as lines of styled text, for a screen of any size. No terminal."""

from __future__ import annotations

from collections.abc import Callable

from netioctl.picking.candidates import Candidate
from netioctl.picking.choice import Choice
from netioctl.render.glyphs import Glyphs
from netioctl.render.words import short_size

#: (text, style) from the left; styles are those of fullscreen.
Line = list[tuple[str, str]]
_ROOMY = 6
_TITLE = f"{'PID':>9} {'USER':8} {'SOCKETS':>7} {'BYTES':>9} {'COMM':15} COMMAND"
_KEYS = "Enter take  Space mark several  type to filter  up, down  Esc cancel"


def page(height: int) -> int:
    """How many rows are seen on a screen of that height."""
    return max(0, height - (4 if height >= _ROOMY else 1))


def draw(
    choice: Choice,
    seconds: float,
    user: Callable[[int], str],
    size: tuple[int, int],
    glyphs: Glyphs,
) -> list[Line]:
    """The lines for a screen of `size` (columns, lines); `seconds`: what BYTES are of."""
    width, height = size
    room, rows = page(height), choice.rows
    choice.place(room)

    def line(text: str, style: str) -> Line:
        return [(glyphs.fit(text, width), style)]

    lines = []
    if height >= _ROOMY:
        lines.append(line(f"netioctl pick: {_what(choice, len(rows), seconds)}", "title"))
        lines.append(line(f"filter: {glyphs.text(choice.text)}_", "plain"))
    lines.append(line(_TITLE, "head"))
    for at in range(choice.top, min(len(rows), choice.top + room)):
        text = _row(rows[at], rows[at].pid in choice.marked, user, glyphs)
        lines.append(line(text, "chosen" if at == choice.at else "plain"))
    if height >= _ROOMY:
        lines += [[] for _ in range(height - 1 - len(lines))]
        lines.append(line(_KEYS, "dim"))
    return lines[:height]


def _what(choice: Choice, count: int, seconds: float) -> str:
    if choice.marked:
        return f"{len(choice.marked)} marked of {count} that match"
    return f"{count} with sockets, most active in {seconds:g} s first"


def _row(row: Candidate, marked: bool, user: Callable[[int], str], glyphs: Glyphs) -> str:
    cells = (
        "*" if marked else " ",
        glyphs.fit(str(row.pid), 7, right=True),
        glyphs.fit(glyphs.text(user(row.uid)), 8),
        glyphs.fit(str(row.sockets), 7, right=True),
        glyphs.fit(short_size(row.moved), 9, right=True),
        glyphs.fit(glyphs.text(row.comm), 15),
        glyphs.text(row.command),
    )
    return " ".join(cells)
