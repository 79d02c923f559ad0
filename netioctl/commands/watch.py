"""`netioctl watch`: events as they happen, then totals."""

from __future__ import annotations

import math
import re
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click

from netioctl.commands import options
from netioctl.commands.summary import draw
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, StdoutClosed, say
from netioctl.session import Gone, Resumed, Session
from netioctl.signals import Stop
from netioctl.wire.errors import DaemonUnreachable

if TYPE_CHECKING:
    from netioctl.answers import Process
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
#: Characters that are written at once rather than joined to others: they fit the CPU's cache.
_LARGE = 65_536
#: Processes that are named in one line.
_NAMED = 5


class _Duration(click.ParamType):
    name = "duration"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]*)", value, re.ASCII)
        if match is None or match[2] not in _UNITS:
            self.fail(f"not a duration: {value}; 5, 2.5, 10s, 1m are", parameter, context)
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds <= 0:
            self.fail("a duration is more than 0 seconds", parameter, context)
        return seconds


class _Wish(NamedTuple):
    """What the command line asks for."""

    as_json: bool
    events: bool
    summary: bool
    duration: float
    most: int | None


class _Drawer(Protocol):
    def begin(self, width: int | None) -> str: ...
    def events(self, item: Events, width: int | None) -> str: ...
    def lost(self, item: Lost) -> str: ...
    def forget(self) -> None: ...


@click.command(short_help="Print events live, then totals.", context_settings=options.PID_SETTINGS)
@options.pids
@options.as_json
@click.option(
    "--summary/--no-summary",
    "with_summary",
    default=None,
    help="Totals at the end, or none. Text has them; --json has them only with --summary.",
)
@click.option("--summary-only", is_flag=True, help="No events, only the totals at the end.")
@click.option(
    "--duration",
    type=_Duration(),
    metavar="TIME",
    default=math.inf,
    help="End after so many seconds; 10s, 1m, 2h also do.",
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@options.run_dir
def command(
    pids: tuple[int, ...],
    as_json: bool,
    with_summary: bool | None,
    summary_only: bool,
    duration: float,
    count: int | None,
) -> ExitStatus:
    """Print what processes send and receive, live, until Ctrl+C; then the totals of the time
    that was watched. Without sudo for your own processes.

    \b
    Examples:
      netioctl watch 1234
      netioctl watch $(pgrep nginx)
      netioctl watch --duration 10s --summary-only 1234
      netioctl watch --json --count 100 1234 | jq .bytes

    It also ends when the last of the processes exits. Totals come from the kernel's counters:
    they are exact even where events were lost on the way, which the output says where it
    happened.

    Exit status is 0 however the watch ends, Ctrl+C included, but 1 if one of the PIDs could
    not be watched and 3 if the daemon went away.
    """
    if summary_only and with_summary is False:
        raise click.UsageError("--summary-only and --no-summary leave nothing to print")
    wish = _Wish(
        as_json,
        not summary_only,
        summary_only or (with_summary if with_summary is not None else not as_json),
        duration,
        count,
    )
    output = Output()
    # Events that nobody prints need no stream, unless they are to be counted.
    stream = wish.events or count is not None
    with (
        options.connect() as client,
        Session(client, pids, stream=stream, totals=wish.summary) as session,
    ):
        session.attach()
        failed = options.report(session.errors)
        for process in session.watched:
            if process.notice:
                say(process.notice)
        if not session.watched:
            return ExitStatus.FAILURE
        session.open()
        try:
            failed |= _watch(session, output, wish)
            if wish.summary:
                totals = session.summary()
                failed |= options.report(totals.errors)
                if wish.events and not as_json:
                    output.write("\n")
                draw(output, totals, as_json)
        except DaemonUnreachable as error:
            what = "the totals of this watch are unknown" if wish.summary else "the watch ends"
            raise DaemonUnreachable(f"{what}: {str(error).splitlines()[0]}") from error
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _watch(session: Session, output: Output, wish: _Wish) -> bool:
    """Print events until something ends the watch; whether a process was taken from us."""
    drawer = _drawer(wish.as_json, session.connection) if wish.events else None
    screen = _Screen(session, output, drawer, wish)
    pipe = output.pipe()
    if pipe is not None:
        session.register(pipe, 0)  # poll() always tells of errors
    with Stop() as stop:
        session.register(stop.descriptor, select.POLLIN)
        # In every mode: whoever starts the traffic after the watch waits for this line.
        say(f"watching {_names(session.watched)}; Ctrl+C ends")
        screen.begin()
        end = time.monotonic() + wish.duration
        while True:
            screen.show(session.read())
            left = end - time.monotonic()
            if screen.full or session.ended:
                return screen.failed
            if stop.asked or left <= 0:
                # Events that are under way happened while we watched.
                for items in session.finish():
                    screen.show(items)
                return screen.failed
            if pipe in session.wait(None if math.isinf(left) else left):
                raise StdoutClosed


class _Screen:
    """Puts what a session reads where it belongs."""

    def __init__(
        self, session: Session, output: Output, drawer: _Drawer | None, wish: _Wish
    ) -> None:
        self._session, self._output, self._drawer = session, output, drawer
        self._wish = wish
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
            elif isinstance(item, Resumed):
                self._flush(text)
                say("netiod has started anew: events since then and before now may be missing")
            elif self._drawer is not None:
                text.append(self._draw(self._drawer, item, width))
                if len(text[-1]) > _LARGE:
                    self._flush(text)
            else:
                self._cut(item)
        self._flush(text)

    def _draw(self, drawer: _Drawer, item: Events | Lost, width: int | None) -> str:
        from netioctl.stream import Events

        if isinstance(item, Events):
            return drawer.events(self._cut(item), width)
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
            say(f"{_names((item.process,))} exited")
        else:
            self.failed = True
            say(f"netioctl: {_names((item.process,))} is watched no longer: {item.reason}")

    def _flush(self, text: list[str]) -> None:
        if text:
            self._output.write("".join(text))
            text.clear()


def _drawer(as_json: bool, lookup: Callable[[int], Connection]) -> _Drawer:
    if as_json:
        from netioctl.render.json_events import JsonEvents

        return JsonEvents(lookup)
    from netioctl.render.text_events import TextEvents

    return TextEvents(lookup)


def _names(processes: tuple[Process, ...]) -> str:
    named = ", ".join(f"{process.pid} ({process.comm})" for process in processes[:_NAMED])
    more = len(processes) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
