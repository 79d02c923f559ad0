"""What people should know besides the numbers: interruptions, and operations that escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netioctl.outage import PATIENCE
from netioctl.render.words import events, lapse, operations, printable
from netioctl.stream import Lost
from netioctl.watching import Escaped, Gone, Interrupted, Waiting

#: Seconds that a line stays on the screen.
STAYS = 30.0


class Notes:
    """Lines above the table; the gravest first."""

    def __init__(self) -> None:
        #: Operations that escaped the kernel's hooks since this began, of all processes together.
        self.escaped = 0
        #: The daemon is waited for.
        self.away = False
        #: Events that a recording lacks, from which its sums are made.
        self.lost = 0
        self._lines: dict[str, float] = {}

    def say(self, text: str, now: float) -> None:
        """Show a line for a while."""
        self._lines[text] = now + STAYS

    def take(self, items: Sequence[Any], now: float) -> None:
        """Take in what a session has read."""
        for item in items:
            if isinstance(item, Escaped):
                self.escaped += item.operations
            elif isinstance(item, Lost):
                self.lost += item.events
            elif isinstance(item, Waiting):
                self.away = True
            elif isinstance(item, Interrupted):
                self.away = False
                self.say(f"netiod was away for {lapse(item.seconds)}; counting goes on", now)
            elif isinstance(item, Gone) and item.reason is not None:
                who = f"{item.process.pid} ({printable(item.process.comm)})"
                self.say(f"{who} is watched no longer: {printable(item.reason)}", now)

    def lines(self, now: float) -> list[str]:
        """What is to be shown at `now` (monotonic seconds)."""
        self._lines = {text: until for text, until in self._lines.items() if until > now}
        found = []
        if self.away:
            found.append(f"netiod is away: waiting for the next, up to {PATIENCE:.0f} s")
        if self.escaped:
            many = operations(self.escaped)
            found.append(f"up to {many} escaped the kernel's hooks (of all processes)")
        if self.lost:
            found.append(f"{events(self.lost)} lost by now: what they moved is missing here")
        return [*found, *self._lines]
