"""The table that `list` prints: within 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netioctl.answers import Held
from netioctl.render.words import cut, printable, short_size, since

_HEADER = ("PID", "COMM", "USER", "SINCE", "BY", "VIEWERS", "SENT", "RECV")
_COMM = _HEADER.index("COMM")
_WIDTH = 80
#: Most columns of each; with the gaps between them no more than _WIDTH.
_MOST = (7, 15, 9, 8, 9, 7, 9, 9)
_RIGHT = frozenset({"PID", "VIEWERS", "SENT", "RECV"})
_EXITED = " (exited)"


def held(rows: Sequence[Held], user: Callable[[int], str], now: float, width: int | None) -> str:
    """The table; `user` names a uid, `now` is in epoch seconds, `width` the terminal's."""
    cells = [_HEADER, *(_cells(row, user, now) for row in rows)]
    widths = [min(most, max(len(line[at]) for line in cells)) for at, most in enumerate(_MOST)]
    # Whatever room the others leave, a name may have.
    room = _WIDTH - sum(widths) - len(_MOST) + 1 + widths[_COMM]
    widths[_COMM] = min(max(len(line[_COMM]) for line in cells), max(widths[_COMM], room))
    cells = [_shortened(line, widths[_COMM]) for line in cells]
    text = ""
    for line in cells:
        padded = (
            cut(cell, size).rjust(size) if name in _RIGHT else cut(cell, size).ljust(size)
            for name, cell, size in zip(_HEADER, line, widths)
        )
        whole = " ".join(padded).rstrip()
        text += (whole if width is None else cut(whole, width)) + "\n"
    return text


def _shortened(line: tuple[str, ...], width: int) -> tuple[str, ...]:
    """The line with a name that fits `width` columns, even where it has exited."""
    comm = line[_COMM]
    if comm.endswith(_EXITED):
        comm = cut(comm[: -len(_EXITED)], width - len(_EXITED)) + _EXITED
    return (*line[:_COMM], comm, *line[_COMM + 1 :])


def _cells(row: Held, user: Callable[[int], str], now: float) -> tuple[str, ...]:
    process = row.process
    comm = printable(process.comm)
    if row.exited is not None:
        comm += _EXITED
    return (
        str(process.pid),
        comm,
        printable(user(process.uid)),
        since(process.since, now),
        "-" if row.added_by is None else printable(user(row.added_by)),
        str(row.viewers),
        short_size(row.total.sent_bytes),
        short_size(row.total.recv_bytes),
    )
