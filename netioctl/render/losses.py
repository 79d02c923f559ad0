"""What is missing, as lines of text between the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netioctl.render.palette import PLAIN, Palette
from netioctl.render.words import events as counted
from netioctl.render.words import lapse, operations, printable, short_size

if TYPE_CHECKING:
    from netioctl.answers import Totals
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
    return f"{away} {counted(events)} not shown; totals are complete --\n"


def skipped(seconds: float, what: Totals) -> str:
    """Events of so many seconds that a terminal was too slow for."""
    sent, received = short_size(what.sent_bytes), short_size(what.recv_bytes)
    return (
        f"-- {counted(what.send_ops + what.recv_ops)} skipped in {lapse(seconds)} "
        f"({sent} sent, {received} received): slow terminal; totals are complete --\n"
    )


def missed(count: int) -> str:
    """Operations that netiod was not told of. Of all processes, so what is shown may lack none."""
    them = "it" if count == 1 else "them"
    return f"-- {operations(count)} escaped the kernel's hooks: totals may be short by {them} --\n"


class LossLines:
    """What renderers of text have in common: the lines that stand where events are missing."""

    def __init__(self, palette: Palette = PLAIN) -> None:
        self._palette = palette

    def lost(self, item: Lost) -> str:
        """The line that stands where events are missing."""
        return self._palette.missing(lost(item))

    def interrupted(self, seconds: float, events: int | None) -> str:
        """The line that stands where there was no stream."""
        return self._palette.missing(interrupted(seconds, events))

    def missed(self, operations: int) -> str:
        """The line that tells of operations that escaped the kernel's hooks."""
        return self._palette.missing(missed(operations))

    def skipped(self, seconds: float, what: Totals) -> str:
        """The line that stands where the terminal was too slow."""
        return self._palette.missing(skipped(seconds, what))
