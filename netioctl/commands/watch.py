"""`netioctl watch`: events as they happen, then totals."""

from __future__ import annotations

import math
import re
import select
import time
from typing import Any

import click

from netioctl.commands import options
from netioctl.commands.summary import draw
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, StdoutClosed, say
from netioctl.screen import Screen, Wish, names, screen
from netioctl.session import Session
from netioctl.signals import Stop
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable, NetioError

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


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


@click.command(short_help="Print events live, then totals.", context_settings=options.PID_SETTINGS)
@options.targets_
@options.as_json
@click.option(
    "--summary/--no-summary",
    "with_summary",
    default=None,
    help="Totals at the end, or none. Text has them; --json has them only with --summary.",
)
@click.option(
    "--wide",
    is_flag=True,
    help="All columns, and none cut: microseconds, thread, call, and the protocol as ss names "
    "it (tcp, udp, icmp6, u_str and u_dgr for unix sockets, nl for netlink); - where unknown.",
)
@click.option("--summary-only", is_flag=True, help="No events, only the totals at the end.")
@click.option(
    "--duration",
    type=_Duration(),
    metavar="TIME",
    default=math.inf,
    help="End after so many seconds; 10s, 1m, 2h also do.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N events, skipped ones included.",
)
@options.run_dir
def command(
    targets: Targets,
    as_json: bool,
    wide: bool,
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
      netioctl watch --wide 1234 | grep sendmsg
      netioctl watch --json --count 100 1234 | jq .bytes

    It also ends when the last of the processes exits. Totals come from the kernel's counters:
    they are exact even where events were lost on the way, which the output says where it
    happened. It also says where operations escaped the kernel's hooks, which totals may lack.
    A terminal that is slower than the traffic is shown the present: what it cannot take within
    half a second is skipped, which the output says. Pipes and files are never skipped for.

    Exit status is 0 however the watch ends, Ctrl+C included, but 1 if one of the PIDs could
    not be watched and 3 if the daemon went away.
    """
    if summary_only and with_summary is False:
        raise click.UsageError("--summary-only and --no-summary leave nothing to print")
    if wide and as_json:
        raise click.UsageError("--wide is for text: --json has every field anyway")
    if wide and summary_only:
        raise click.UsageError("--wide is about events, and --summary-only prints none")
    wish = Wish(
        as_json,
        wide,
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
        Session(client, targets, stream=stream, totals=wish.summary) as session,
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
            shown = _watch(session, output, wish)
            failed |= shown.failed
            if wish.summary:
                totals = session.summary()
                failed |= options.report(totals.errors)
                if wish.events and not as_json:
                    output.write("\n")
                draw(output, totals, as_json, skipped=shown.skipped)
        except DaemonUnreachable as error:
            what = "the totals of this watch are unknown" if wish.summary else "the watch ends"
            raise DaemonUnreachable(f"{what}: {str(error).splitlines()[0]}") from error
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _watch(session: Session, output: Output, wish: Wish) -> Screen:
    """Print events until something ends the watch."""
    shown = screen(session, output, wish)
    pipe = output.pipe()
    if pipe is not None:
        session.register(pipe, 0)  # poll() always tells of errors
    with Stop() as stop:
        session.register(stop.descriptor, select.POLLIN)
        # In every mode: whoever starts the traffic after the watch waits for this line.
        say(f"watching {names(session.watched)}; Ctrl+C ends")
        shown.begin()
        try:
            _follow(session, shown, stop, time.monotonic() + wish.duration, pipe)
        except NetioError:
            shown.end()
            raise
        shown.end()
    return shown


def _follow(session: Session, shown: Screen, stop: Stop, end: float, pipe: int | None) -> None:
    while True:
        shown.show(session.read())
        now = time.monotonic()
        if shown.full or session.ended:
            return
        if stop.asked or now >= end:
            # Events that are under way happened while we watched.
            for items in session.finish():
                shown.show(items)
            return
        due = min(end, shown.due)
        if pipe in session.wait(None if math.isinf(due) else max(0.0, due - now)):
            raise StdoutClosed
