"""A screen that shows the present: what its terminal cannot take in time is skipped, and told."""

from __future__ import annotations

import math
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from netioctl.render.columns import event_fields
from netioctl.screen import Screen, Wish, part
from netioctl.skips import Skips
from netioctl.terminal import Terminal
from netioctl.watching import Began, Escaped, Gone, Waiting

if TYPE_CHECKING:
    from netioctl.output import Output
    from netioctl.render.events import Drawer
    from netioctl.resolve import Names
    from netioctl.session import Session
    from netioctl.stream import Events

#: Seconds after which an event that is not on its way to the terminal yet is too old for it.
TOO_OLD = 0.4
#: Seconds that the end of a watch waits for a terminal to take the last events.
_LAST = 0.4
#: Events of earlier reads that may wait: a Reader remembers more connections than they can name.
_MOST_LEFT = 12_000
_SECOND = 1_000_000_000


class Live(Screen):
    """Prints without ever waiting for the terminal, so that the stream is always read."""

    def __init__(
        self,
        session: Session,
        output: Output,
        wish: Wish,
        drawer: Drawer,
        stdout: int,
        names: Names | None = None,
    ) -> None:
        super().__init__(session, output, wish, drawer, names)
        # Nobody but people reads this, even where it is CSV, and stderr might have to wait.
        self._aside = False
        self._draws = drawer
        self._terminal = Terminal(stdout)
        self._skips = Skips()
        #: What is to be printed, and since when it could be (monotonic seconds).
        self._waiting: deque[tuple[float, Any]] = deque()
        self._left_over = 0
        #: The rest of a line that the terminal took a part of.
        self._rest = b""
        self._line = 80
        self._time = event_fields("time")
        self._same_clock: bool | None = None
        self._registered = False

    @property
    def skipped(self) -> int:
        """As Screen has it."""
        return self._skips.events

    @property
    def due(self) -> float:
        """As Screen has it."""
        return self._terminal.due if self._busy else math.inf

    def show(self, items: list[Any]) -> None:
        """Print what the terminal takes now of these and of what waits."""
        now = time.monotonic()
        if self._renamed():
            # What waits would be shown with the connections that others are now.
            self._skip()
        if items and self._left_over > _MOST_LEFT:
            self._skip()
        for item in self._choose(items):
            self._waiting.append((self._born(item, now), item))
            self._left_over += getattr(item, "number", 0)
        self._pump()
        if self._registered != self._busy:
            self._registered = self._busy
            if self._busy:
                self._session.register(self._terminal.fileno(), select.POLLIN)
            else:
                self._session.unregister(self._terminal.fileno())

    def end(self) -> None:
        """Print what waits as far as the terminal takes it soon, and what is skipped of it."""
        end = time.monotonic() + _LAST
        poll = select.poll()
        poll.register(self._terminal, select.POLLIN)
        self._pump()
        while self._busy and (now := time.monotonic()) < end:
            poll.poll(max(0.0, min(end, self.due) - now) * 1000 + 0.9)
            self._pump()
        self._skip()
        self._terminal.close()
        # From here on the terminal's pace rules: whoever asked for the end waits for its totals.
        self._output.write_bytes(self._rest)
        self._output.write(self._skips.draw(self._draws))
        told: list[str] = []
        for _, item in self._waiting:
            self._put_item(item, None, told)
        self._flush(told)

    @property
    def _busy(self) -> bool:
        return bool(self._rest or self._waiting or self._skips)

    def _born(self, item: Any, now: float) -> float:
        """When an item happened; where events have another clock than ours, when it came."""
        number = getattr(item, "number", 0)
        if not number:
            return now
        last = self._time.unpack_from(item.data, (number - 1) * self._time.size)[0] / _SECOND
        if self._same_clock is None:
            self._same_clock = 0 <= now - last < 1
        return min(last, now) if self._same_clock else now

    def _pump(self) -> None:
        oldest = next((born for born, _ in self._waiting if born < math.inf), math.inf)
        if time.monotonic() - oldest > TOO_OLD:
            self._skip()
        # Asked in any case, since it takes what the terminal has to tell.
        room = self._terminal.room()
        while room > 0 and self._busy:
            self._step(room)
            room = self._terminal.room()

    def _step(self, room: int) -> None:
        from netioctl.stream import Events

        if self._rest:
            self._put(self._rest)
        elif self._skips:
            text = self._output.encode(self._skips.draw(self._draws))
            # Not before the terminal takes it, lest a stop that lasts be told in pieces.
            if taken := self._terminal.write(text):
                self._rest = text[taken:]
                self._skips.told()
        else:
            born, item = self._waiting.popleft()
            if isinstance(item, Events):
                self._put_events(born, item, room)
                return
            told: list[str] = []
            if isinstance(item, (Began, Gone, Waiting)):
                self._tell(item, told)
            else:
                told.append(self._draw(self._draws, item, None))
            self._put(self._output.encode("".join(told)))

    def _put(self, data: bytes) -> None:
        self._rest = data[self._terminal.write(data) :] if data else b""

    def _put_events(self, born: float, item: Events, room: int) -> None:
        """The first of these events; the terminal finishes a line that it began."""
        number = min(item.number, max(1, room // self._line))
        text = self._draws.events(part(item, 0, number), self._output.width())
        data = self._output.encode(text)
        self._line = max(1, len(data) // number)
        taken = self._terminal.write(data)
        shown = data.count(b"\n", 0, taken)
        if taken and data[taken - 1] != ord("\n"):
            shown += 1
            self._rest = data[taken : data.index(b"\n", taken) + 1]
        self._left_over -= shown
        if shown < item.number:
            self._waiting.appendleft((born, part(item, shown, item.number)))

    def _skip(self) -> None:
        """Sum up what waits, except for what is told but once."""
        from netioctl.stream import Events, Lost

        kept = []
        for _, item in self._waiting:
            if isinstance(item, Events):
                self._skips.skip(item)
            elif isinstance(item, Lost):
                self._skips.lost(item.stage, item.events)
            elif isinstance(item, Escaped):
                self._skips.escaped(item.operations)
            else:
                kept.append((math.inf, item))
        self._waiting, self._left_over = deque(kept), 0
