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


def missed(count: int) -> str:
    """Operations that netiod was not told of. Of all processes, so what is shown may lack none."""
    them = "it" if count == 1 else "them"
    return f"-- {operations(count)} escaped the kernel's hooks: totals may be short by {them} --\n"
