"""What `netioctl watch` prints of what its session reads, and where: data, or words to people."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from netioctl.outage import PATIENCE
from netioctl.output import Output, say
from netioctl.render.events import TEXT, Form
from netioctl.session import Session
from netioctl.targets import names
from netioctl.watching import Began, Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from netioctl.filters import Chooser, Filter
    from netioctl.recording.replay import Replay
    from netioctl.recording.stepped import Stepped
    from netioctl.render.events import Drawer
    from netioctl.resolve import Names
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection

#: Characters that are written at once rather than joined to others: they fit the CPU's cache.
_LARGE = 65_536
#: Seconds between two times that lines take up names that have become known.
_NAMES_EVERY = 0.1


class Wish(NamedTuple):
    """What the command line asks for: `duration` in seconds, `most` events.

    `chosen`: which events; None: all. `resolve`: names of hosts and ports. `interval`: so many
    seconds of sums a line, and no events.
    """

    form: Form = TEXT
    events: bool = True
    summary: bool = True
    duration: float = math.inf
    most: int | None = None
    chosen: Filter | None = None
    resolve: bool = False
    interval: float | None = None


class Screen:
    """Puts what a session reads where it belongs."""

    def __init__(
        self,
        session: Session | Replay,
        output: Output,
        wish: Wish,
        drawer: Drawer | None,
        names: Names | None = None,
    ) -> None:
        self._session, self._output, self._wish = session, output, wish
        self._drawer = drawer
        self._chooser = _chooser(wish, session.connection)
        self._left = wish.most
        self._generation = 0
        self._names, self._names_seen, self._names_due = names, 0, 0.0
        #: CSV has no place for what is missing, which its reader must not take for an event.
        self._aside = wish.form.kind == "csv"
        #: Events that were lost on the way; and whether there were more, nobody knows how many.
        self.lost, self.unknown = 0, False
        #: A process was taken from us.
        self.failed = False

    @property
    def skipped(self) -> int:
        """Events that were not shown by choice."""
        return 0

    @property
    def hidden(self) -> int | None:
        """Events that a filter hid; None: there is none."""
        return None if self._chooser is None else self._chooser.hidden

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
        for item in self._choose(items):
            self._put_item(item, width, text)
        self._flush(text)

    def end(self) -> None:
        """Print what show() has kept back."""

    def _renamed(self) -> bool:
        """Whether connections may be others than before, which are then asked for anew."""
        now = time.monotonic()
        names = self._names
        if names is not None and names.generation != self._names_seen and now >= self._names_due:
            # These are the same ones, of which more is known.
            self._names_seen, self._names_due = names.generation, now + _NAMES_EVERY
            if self._drawer is not None:
                self._drawer.forget()
        if self._generation == self._session.generation:
            return False
        self._generation = self._session.generation
        if self._drawer is not None:
            self._drawer.forget()
        if self._chooser is not None:
            self._chooser.forget()
        return True

    def _choose(self, items: Iterable[Any]) -> Iterator[Any]:
        """Items, without the events that a filter hides or for which --count leaves no room."""
        for item in items:
            if self.full:
                return
            number = getattr(item, "number", None)
            if number is None:
                self._note(item)
                yield item
                continue
            chosen = item if self._chooser is None else self._chooser.choose(item)
            if chosen is not None:
                yield self._cut(chosen)

    def _note(self, item: Any) -> None:
        """Keep in mind that events are missing."""
        lost = getattr(item, "events", 0)
        self.lost += lost or 0
        self.unknown |= lost is None

    def _put_item(self, item: Any, width: int | None, text: list[str]) -> None:
        if isinstance(item, (Began, Gone, Waiting)):
            self._tell(item, text)
        elif self._drawer is None:
            return
        elif self._aside and not hasattr(item, "number"):
            self._flush(text)
            say(self._draw(self._drawer, item, width).rstrip("\n"))
        else:
            text.append(self._draw(self._drawer, item, width))
            if len(text[-1]) > _LARGE:
                self._flush(text)

    def _draw(
        self, drawer: Drawer, item: Events | Lost | Escaped | Interrupted, width: int | None
    ) -> str:
        from netioctl.stream import Events

        if isinstance(item, Events):
            return drawer.events(item, width)
        if isinstance(item, Escaped):
            return drawer.missed(item.operations)
        if isinstance(item, Interrupted):
            return drawer.interrupted(item.seconds, item.events)
        return drawer.lost(item)

    def _cut(self, item: Events) -> Events:
        """Events as far as --count leaves room for them."""
        if self._left is None:
            return item
        taken = min(item.number, self._left)
        self._left -= taken
        return part(item, 0, taken)

    def _tell(self, item: Began | Gone | Waiting, text: list[str]) -> None:
        if isinstance(item, Waiting):
            self._flush(text)
            say(f"netiod has ended the connection: waiting for the next, up to {PATIENCE:.0f} s")
            return
        if self._wish.form.kind == "json" and (isinstance(item, Began) or item.reason is None):
            if self._wish.events or self._wish.interval is not None:
                text.append(_as_json(item))
            return
        self._flush(text)
        if isinstance(item, Began):
            child = "" if item.parent is None else f", child of {item.parent}"
            say(f"watching {names((item.process,))}{child}")
        elif item.reason is None:
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
    if wish.interval is not None:
        from netioctl.intervals import Intervals

        return Intervals(cast("Session | Stepped", session), output, wish, wish.interval)
    if not wish.events:
        return Screen(session, output, wish, None)
    from netioctl.render.events import drawer

    lookup: Callable[[int], Connection] = session.connection
    known = None
    if wish.resolve:
        from netioctl.resolve import Named, Names

        known = Names()
        lookup = Named(lookup, known)
    drawn = drawer(wish.form, lookup, session.began)
    terminal = output.terminal()
    # What is replayed does not become old while a terminal is slow.
    if terminal is None or not isinstance(session, Session):
        return Screen(session, output, wish, drawn, known)
    from netioctl.live import Live

    return Live(session, output, wish, drawn, terminal, known)


def _as_json(item: Began | Gone) -> str:
    from netioctl.render import json

    if isinstance(item, Began):
        return json.began(item.process, item.parent)
    return json.exited(item.process.pid)


def _chooser(wish: Wish, lookup: Callable[[int], Connection]) -> Chooser | None:
    if wish.chosen is None:
        return None
    from netioctl.filters import Chooser

    return Chooser(wish.chosen, lookup)
