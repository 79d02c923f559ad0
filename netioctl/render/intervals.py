"""Sums of an interval, a line for each process: text, CSV or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from netioctl.render import csv_events, losses
from netioctl.render.json import line
from netioctl.render.palette import PLAIN, Palette
from netioctl.render.words import printable, short_size

if TYPE_CHECKING:
    from netioctl.answers import Process, Totals
    from netioctl.render.clocks import Clock
    from netioctl.stream import Lost

_CSV = ("time", "seconds", "pid", "comm", "sent_bytes", "recv_bytes", "send_ops", "recv_ops")


class Sums(NamedTuple):
    """What a process moved in the `seconds` before `time` (nanoseconds since the epoch)."""

    time: int
    seconds: float
    process: Process
    moved: Totals


class Drawer(Protocol):
    """What the three have in common."""

    def begin(self) -> str: ...  # noqa: D102 # as they say themselves
    def sums(self, item: Sums) -> str: ...  # noqa: D102
    def interrupted(self, seconds: float) -> str: ...  # noqa: D102
    def missed(self, operations: int) -> str: ...  # noqa: D102
    def lost(self, item: Lost) -> str: ...  # noqa: D102


class _Lines:
    def __init__(self, palette: Palette = PLAIN) -> None:
        self._palette = palette

    def interrupted(self, seconds: float) -> str:
        """netiod was away; what was counted meanwhile is in the next sums."""
        return self._palette.missing(f"-- netiod was away for {seconds:.1f} s --\n")

    def missed(self, operations: int) -> str:
        """Operations that escaped the kernel's hooks."""
        return self._palette.missing(losses.missed(operations))

    def lost(self, item: Lost) -> str:
        """Events that a recording lacks, and with it the sums."""
        return self._palette.missing(losses.lost(item))


class TextIntervals(_Lines):
    """For people: what a process moved a second, on an average of `interval` seconds or more."""

    def __init__(self, clock: Clock, interval: float, palette: Palette = PLAIN) -> None:
        super().__init__(palette)
        self._clock, self._interval = clock, interval

    def begin(self) -> str:
        """The header line."""
        time = f"{'TIME':<{self._clock.width}}"
        return f"{time} {'PID':<7} {'COMM':<15} {'SENT/s':>9} {'RECV/s':>9} {'OPS/s':>11}\n"

    def sums(self, item: Sums) -> str:
        """One line."""
        time = self._clock.short((item.time - self._clock.start) // self._clock.unit)
        # A rest of some milliseconds would have a rate that never was.
        seconds = max(item.seconds, self._interval)
        sent, recv, send_ops, recv_ops = (count / seconds for count in item.moved)
        return (
            f"{time} {item.process.pid:<7} {printable(item.process.comm):<15} "
            f"{short_size(round(sent)):>9} {short_size(round(recv)):>9} "
            f"{round(send_ops + recv_ops):>11,}\n"
        )


class CsvIntervals(_Lines):
    """For spreadsheets: the exact sums."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock._replace(dated=True)

    def begin(self) -> str:
        """The header line."""
        return ",".join(_CSV) + csv_events.END

    def sums(self, item: Sums) -> str:
        """One line."""
        process, moved = item.process, item.moved
        cells = (
            self._clock.full(item.time),
            f"{item.seconds:.6f}",
            str(process.pid),
            csv_events.text(process.comm),
            *map(str, moved),
        )
        return ",".join(cells) + csv_events.END


class JsonIntervals(_Lines):
    """For programs: the exact sums."""

    def begin(self) -> str:
        """Nothing."""
        return ""

    def sums(self, item: Sums) -> str:
        """One object."""
        return line(
            {
                "type": "interval",
                "time": round(item.time / 1e9, 6),
                "seconds": round(item.seconds, 6),
                "pid": item.process.pid,
                "comm": item.process.comm,
                **item.moved._asdict(),
            }
        )

    def interrupted(self, seconds: float) -> str:
        """netiod was away."""
        return line({"type": "interrupted", "seconds": round(seconds, 3), "events": None})

    def missed(self, operations: int) -> str:
        """Operations that escaped the kernel's hooks."""
        return line({"type": "missed", "operations": operations})

    def lost(self, item: Lost) -> str:
        """Events that a recording lacks."""
        return line({"type": "lost", "events": item.events, "stage": item.stage})
