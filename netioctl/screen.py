"""What `netioctl watch` prints of what its session reads, and where: data, or words to people."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from netioctl.outage import PATIENCE
from netioctl.output import Output, say
from netioctl.session import Session
from netioctl.watching import Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from netioctl.answers import Process, Totals
    from netioctl.recording.replay import Replay
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection

#: Characters that are written at once rather than joined to others: they fit the CPU's cache.
_LARGE = 65_536
#: Processes that are named in one line.
_NAMED = 5


class Wish(NamedTuple):
    """What the command line asks for: `duration` in seconds, `most` events."""

    as_json: bool
    wide: bool
    events: bool
    summary: bool
    duration: float
    most: int | None


class Drawer(Protocol):
    """What the renderers of events have in common."""

    def begin(self, width: int | None) -> str: ...  # noqa: D102 # as they say themselves
    def events(self, item: Events, width: int | None) -> str: ...  # noqa: D102
    def lost(self, item: Lost) -> str: ...  # noqa: D102
    def interrupted(self, seconds: float, events: int | None) -> str: ...  # noqa: D102
    def missed(self, operations: int) -> str: ...  # noqa: D102
    def skipped(self, seconds: float, what: Totals) -> str: ...  # noqa: D102
    def forget(self) -> None: ...  # noqa: D102


class Screen:
    """Puts what a session reads where it belongs."""

    def __init__(
        self, session: Session | Replay, output: Output, wish: Wish, drawer: Drawer | None
    ) -> None:
        self._session, self._output, self._wish = session, output, wish
        self._drawer = drawer
        self._left = wish.most
        self._generation = 0
        #: A process was taken from us.
        self.failed = False

    @property
    def skipped(self) -> int:
        """Events that were not shown by choice."""
        return 0

    @property
    def due(self) -> float:
        """When show() should be called if nothing comes before (monotonic seconds)."""
        return math.inf

    @property
    def full(self) -> bool:
        """Whether as many events were shown as were asked for."""
        return self._left == 0

    def begin(self) -> None:
        """What stands above the first event."""
        if self._drawer is not None:
            self._output.write(self._drawer.begin(self._output.width()))

    def show(self, items: list[Any]) -> None:
        """Print items, many in one write, but never past where a line on stderr belongs."""
        width = self._output.width()
        self._renamed()
        text: list[str] = []
        for item in items:
            if self.full:
                break
            if isinstance(item, (Gone, Waiting)):
                self._tell(item, text)
            elif self._drawer is not None:
                text.append(self._draw(self._drawer, item, width))
                if len(text[-1]) > _LARGE:
                    self._flush(text)
            else:
                self._cut(item)
        self._flush(text)

    def end(self) -> None:
        """Print what show() has kept back."""

    def _renamed(self) -> bool:
        """Whether connections may have other names than before, which are then asked for anew."""
        if self._drawer is None or self._generation == self._session.generation:
            return False
        self._generation = self._session.generation
        self._drawer.forget()
        return True

    def _draw(
        self, drawer: Drawer, item: Events | Lost | Escaped | Interrupted, width: int | None
    ) -> str:
        from netioctl.stream import Events

        if isinstance(item, Events):
            return drawer.events(self._cut(item), width)
        if isinstance(item, Escaped):
            return drawer.missed(item.operations)
        if isinstance(item, Interrupted):
            return drawer.interrupted(item.seconds, item.events)
        return drawer.lost(item)

    def _cut(self, item: Any) -> Any:
        """Events as far as --count leaves room for them."""
        from netioctl.stream import Events

        if self._left is None or not isinstance(item, Events):
            return item
        taken = min(item.number, self._left)
        self._left -= taken
        return part(item, 0, taken)

    def _tell(self, item: Gone | Waiting, text: list[str]) -> None:
        if isinstance(item, Waiting):
            self._flush(text)
            say(f"netiod has ended the connection: waiting for the next, up to {PATIENCE:.0f} s")
            return
        if item.reason is None and self._wish.as_json:
            if self._wish.events:
                from netioctl.render import json

                text.append(json.exited(item.process.pid))
            return
        self._flush(text)
        if item.reason is None:
            say(f"{names((item.process,))} exited")
        else:
            self.failed = True
            say(f"netioctl: {names((item.process,))} is watched no longer: {item.reason}")

    def _flush(self, text: list[str]) -> None:
        if text:
            self._output.write("".join(text))
            text.clear()


def part(item: Events, begin: int, end: int) -> Events:
    """Some of these events, by index."""
    size = len(item.data) // item.number
    return item._replace(number=end - begin, data=item.data[begin * size : end * size])


def screen(session: Session | Replay, output: Output, wish: Wish) -> Screen:
    """The screen for this wish; on a terminal one that skips what the terminal cannot take."""
    drawer = _drawer(wish, session.connection) if wish.events else None
    terminal = output.terminal()
    # What is replayed does not become old while a terminal is slow.
    if drawer is None or terminal is None or not isinstance(session, Session):
        return Screen(session, output, wish, drawer)
    from netioctl.live import Live

    return Live(session, output, wish, drawer, terminal)


def _drawer(wish: Wish, lookup: Callable[[int], Connection]) -> Drawer:
    if wish.as_json:
        from netioctl.render.json_events import JsonEvents

        return JsonEvents(lookup)
    if wish.wide:
        from netioctl.render.wide_events import WideEvents

        return WideEvents(lookup)
    from netioctl.render.text_events import TextEvents

    return TextEvents(lookup)


def names(processes: tuple[Process, ...]) -> str:
    """`1234 (curl), 1235 (nginx)`; of many processes the first and how many more."""
    named = ", ".join(f"{process.pid} ({process.comm})" for process in processes[:_NAMED])
    more = len(processes) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
