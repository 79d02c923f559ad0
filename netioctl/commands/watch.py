"""`netioctl watch`: events as they happen, then totals."""

from __future__ import annotations

import math
import select
import time
from typing import TYPE_CHECKING

import click

from netioctl.commands import options
from netioctl.commands.summary import draw
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, StdoutClosed, say
from netioctl.recording.options import Source, problems, source
from netioctl.screen import Screen, Wish, names, screen
from netioctl.session import Session
from netioctl.signals import Stop
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable, NetioError

if TYPE_CHECKING:
    from netioctl.recording.replay import Replay


@click.command(short_help="Print events live, then totals.", context_settings=options.PID_SETTINGS)
@options.any_targets
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
@options.duration
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N events, skipped ones included.",
)
@source
@click.option(
    "--replay-speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="With --from: 1 as fast as it happened, 10 ten times as fast; else at once.",
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
    source: Source | None,
    replay_speed: float | None,
) -> ExitStatus:
    """Print what processes send and receive, live, until Ctrl+C; then the totals of the time
    that was watched. Without sudo for your own processes. Without PIDs you choose them from a
    list, as with `netioctl pick`.

    \b
    Examples:
      netioctl watch 1234
      netioctl watch $(pgrep nginx)
      netioctl watch --duration 10s --summary-only 1234
      netioctl watch --wide 1234 | grep sendmsg
      netioctl watch --json --count 100 1234 | jq .bytes
      netioctl watch --from web.netio --since +10s --replay-speed 1

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
    if source is None and replay_speed is not None:
        raise click.UsageError("--replay-speed is for a recording: --from FILE")
    output = Output()
    if source is not None:
        seconds = None if math.isinf(duration) else duration
        replay = source.replay(targets.pids, speed=replay_speed, seconds=seconds)
        with replay:
            return _show(replay, output, wish._replace(duration=math.inf))
    targets = options.or_picked(targets)
    # Events that nobody prints need no stream, unless they are to be counted.
    stream = wish.events or count is not None
    with (
        options.connect() as client,
        Session(client, targets, stream=stream, totals=wish.summary) as session,
    ):
        return _show(session, output, wish)


def _show(session: Session | Replay, output: Output, wish: Wish) -> ExitStatus:
    """A watch from its beginning to its totals."""
    session.attach()
    failed = options.report(session.errors)
    for process in session.watched:
        if process.notice:
            say(process.notice)
    if not session.watched:
        problems(session.problems)
        return ExitStatus.FAILURE
    session.open()
    try:
        shown = _watch(session, output, wish)
        failed |= shown.failed
        if wish.summary:
            totals = session.summary()
            failed |= options.report(totals.errors)
            if wish.events and not wish.as_json:
                output.write("\n")
            draw(output, totals, wish.as_json, skipped=shown.skipped)
    except DaemonUnreachable as error:
        what = "the totals of this watch are unknown" if wish.summary else "the watch ends"
        raise DaemonUnreachable(f"{what}: {str(error).splitlines()[0]}") from error
    failed |= problems(session.problems)
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _watch(session: Session | Replay, output: Output, wish: Wish) -> Screen:
    """Print events until something ends the watch."""
    shown = screen(session, output, wish)
    pipe = output.pipe()
    if pipe is not None:
        session.register(pipe, 0)  # poll() always tells of errors
    with Stop() as stop:
        session.register(stop.descriptor, select.POLLIN)
        # In every mode: whoever starts the traffic after the watch waits for this line.
        say(f"{session.verb} {names(session.watched)}; Ctrl+C ends")
        shown.begin()
        try:
            _follow(session, shown, stop, time.monotonic() + wish.duration, pipe)
        except NetioError:
            shown.end()
            raise
        shown.end()
    return shown


def _follow(
    session: Session | Replay, shown: Screen, stop: Stop, end: float, pipe: int | None
) -> None:
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
