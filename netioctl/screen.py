"""What `netioctl watch` prints of what its session reads, and where: data, or words to people."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from netioctl.outage import PATIENCE
from netioctl.output import Output, say
from netioctl.session import Session
from netioctl.watching import Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from netioctl.answers import Process
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


class _Drawer(Protocol):
    def begin(self, width: int | None) -> str: ...
    def events(self, item: Events, width: int | None) -> str: ...
    def lost(self, item: Lost) -> str: ...
    def interrupted(self, seconds: float, events: int | None) -> str: ...
    def missed(self, operations: int) -> str: ...
    def forget(self) -> None: ...


class Screen:
    """Puts what a session reads where it belongs."""

    def __init__(self, session: Session, output: Output, wish: Wish) -> None:
        self._session, self._output, self._wish = session, output, wish
        self._drawer = _drawer(wish, session.connection) if wish.events else None
        self._left = wish.most
        self._generation = 0
        #: A process was taken from us.
        self.failed = False

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
        if self._drawer is not None and self._generation != self._session.generation:
            self._generation = self._session.generation
            self._drawer.forget()
        text: list[str] = []
        for item in items:
            if self.full:
                break
            if isinstance(item, Gone):
                self._gone(item, text)
            elif isinstance(item, Waiting):
                self._flush(text)
                say(
                    f"netiod has ended the connection: waiting for the next, up to {PATIENCE:.0f} s"
                )
            elif self._drawer is not None:
                text.append(self._draw(self._drawer, item, width))
                if len(text[-1]) > _LARGE:
                    self._flush(text)
            else:
                self._cut(item)
        self._flush(text)

    def _draw(
        self, drawer: _Drawer, item: Events | Lost | Escaped | Interrupted, width: int | None
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
        size = len(item.data) // item.number
        return item._replace(number=taken, data=item.data[: taken * size])

    def _gone(self, item: Gone, text: list[str]) -> None:
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


def _drawer(wish: Wish, lookup: Callable[[int], Connection]) -> _Drawer:
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
