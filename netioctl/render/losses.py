"""What is missing, as lines of text between the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netioctl.render.words import operations, printable

if TYPE_CHECKING:
    from netioctl.stream import Lost

_STAGES = {"kernel": "kernel buffer", "stream": "viewer too slow"}


def lost(item: Lost) -> str:
    """Events that did not reach the screen; totals have them."""
    stage = _STAGES.get(item.stage, printable(item.stage))
    return f"-- {item.events:,} events lost ({stage}) --\n"


def interrupted(seconds: float, events: int | None) -> str:
    """Events that happened while there was no stream; None: nobody knows how many."""
    away = f"-- stream interrupted {seconds:.1f} s,"
    if events is None:
        return f"{away} an unknown number of events not shown --\n"
    noun = "event" if events == 1 else "events"
    return f"{away} {events:,} {noun} not shown; totals are complete --\n"


def missed(count: int) -> str:
    """Operations that netiod was not told of. Of all processes, so what is shown may lack none."""
    them = "it" if count == 1 else "them"
    return f"-- {operations(count)} escaped the kernel's hooks: totals may be short by {them} --\n"
