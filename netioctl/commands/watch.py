"""`netioctl watch`: events as they happen, then totals."""

from __future__ import annotations

import math
import os
import select
import time
from typing import TYPE_CHECKING

import click

from netioctl.commands import options, watch_options
from netioctl.commands.summary import draw
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, StdoutClosed, say
from netioctl.recording.options import Source, problems, replay_speed, source
from netioctl.render.events import COLUMNS, Form
from netioctl.render.words import events as counted
from netioctl.screen import Screen, Wish, screen
from netioctl.session import Session
from netioctl.signals import Stop
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable, NetioError

if TYPE_CHECKING:
    from netioctl.filters import Filter
    from netioctl.recording.replay import Replay

#: Seconds: to ask more often would tell nothing, and cost the daemon something.
_LEAST_INTERVAL = 0.1
#: Forms that have no totals unless they are asked for.
_DATA = ("json", "csv")


@click.command(
    cls=watch_options.Sectioned,
    short_help="Print events live, then totals.",
    context_settings=options.PID_SETTINGS,
)
@options.any_targets
@click.option(
    "--summary/--no-summary",
    "with_summary",
    default=None,
    help="Totals at the end, or none. Text has them; --json has them only with --summary.",
)
@click.option("--summary-only", is_flag=True, help="No events, only the totals at the end.")
@click.option(
    "--interval",
    type=options.Duration(),
    metavar="TIME",
    help="Instead of events, what each process moved in so many seconds; text shows it per second. "
    "Of more than ten processes, those that moved nothing are left out.",
)
@options.duration
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N events that filters let pass, skipped ones included.",
)
@watch_options.form
@watch_options.filters
@source
@replay_speed
@options.run_dir
def command(
    targets: Targets,
    form: Form,
    resolve: bool,
    chosen: Filter | None,
    with_summary: bool | None,
    summary_only: bool,
    interval: float | None,
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
      netioctl watch --send --port 443 --min-bytes 1K 1234
      netioctl watch --remote 10.0.0.0/8 --proto tcp,udp 1234
      netioctl watch --errors 1234
      netioctl watch --wide 1234 | grep sendmsg
      netioctl watch --columns time,bytes,remote 1234
      netioctl watch --csv --duration 1m 1234 > events.csv
      netioctl watch --json --count 100 1234 | jq .bytes
      netioctl watch --interval 1 1234
      netioctl watch --duration 10s --summary-only 1234
      netioctl watch --from web.netio --since +10s --replay-speed 1

    It also ends when the last of the processes exits. Totals come from the kernel's counters:
    they are exact even where events were lost on the way, which the output says where it
    happened. They are of all traffic, whatever filters let pass. The output also says where
    operations escaped the kernel's hooks, which totals may lack. A terminal that is slower
    than the traffic is shown the present: what it cannot take within half a second is
    skipped, which the output says. Pipes and files are never skipped for.

    Terminals have colours, unless the environment has NO_COLOR; with FORCE_COLOR, pipes too.

    Exit status is 0 however the watch ends, Ctrl+C included, but 1 if one of the PIDs could
    not be watched or --csv lacks events, and 3 if the daemon went away.
    """
    events = not summary_only and interval is None
    form = form._replace(failed=chosen is not None and chosen.failed)
    _check(form, resolve, chosen, with_summary, summary_only, interval, count, source)
    wish = Wish(
        form,
        events,
        summary_only or (with_summary if with_summary is not None else form.kind not in _DATA),
        duration,
        count,
        chosen,
        resolve,
        interval,
    )
    output = Output()
    if source is not None:
        seconds = None if math.isinf(duration) else duration
        if interval is None:
            replay = source.replay(targets, speed=replay_speed, seconds=seconds)
        else:
            replay = source.stepped(targets, interval, speed=replay_speed, seconds=seconds)
        with replay:
            return _show(replay, output, wish._replace(duration=math.inf))
    targets = options.or_picked(targets)
    # Events that nobody prints need no stream, unless they are to be counted.
    stream = wish.events or count is not None
    totals = wish.summary or interval is not None
    with (
        options.connect() as client,
        Session(client, targets, stream=stream, totals=totals, failed=form.failed) as session,
    ):
        return _show(session, output, wish)


def _check(
    form: Form,
    resolve: bool,
    chosen: Filter | None,
    with_summary: bool | None,
    summary_only: bool,
    interval: float | None,
    count: int | None,
    source: Source | None,
) -> None:
    """Refuse what has no meaning together.

    Raises:
        click.UsageError: says what.
    """
    wrong = None
    columns = form.columns not in ((), COLUMNS)
    lines = "--resolve" if resolve else "--columns" if columns else ""
    lines = "--wide" if form.kind == "wide" else lines
    if summary_only and with_summary is False:
        wrong = "--summary-only and --no-summary leave nothing to print"
    elif form.kind == "csv" and (summary_only or with_summary):
        wrong = "--csv has no totals: --json --summary has them, or netioctl summary --json"
    elif interval is not None and interval < _LEAST_INTERVAL:
        wrong = f"--interval is {_LEAST_INTERVAL:g} s at least"
    elif interval is not None and summary_only:
        wrong = "--interval and --summary-only are two things: choose one"
    elif form.failed and chosen is not None and chosen.least:
        wrong = "--errors is about what moved no bytes: leave out --min-bytes"
    elif interval is not None and chosen is not None:
        wrong = "filters choose events, and --interval has sums of all traffic instead"
    elif interval is not None and count is not None:
        wrong = "--count is about events, and --interval prints none: --duration ends it"
    elif summary_only and chosen is not None and count is None:
        wrong = "filters choose events, and --summary-only prints none: totals have all traffic"
    elif lines and (summary_only or interval is not None):
        which = "--summary-only" if summary_only else "--interval"
        wrong = f"{lines} is about events, and {which} prints none"
    elif form.failed and source is not None:
        wrong = "--errors: a recording has no operations that failed"
    if wrong:
        raise click.UsageError(wrong, click.get_current_context())


def _show(session: Session | Replay, output: Output, wish: Wish) -> ExitStatus:
    """A watch from its beginning to its totals."""
    session.attach()
    failed = options.report(session.errors)
    for process in session.watched:
        if process.notice:
            say(process.notice)
    if not session.expects:
        problems(session.problems)
        return ExitStatus.FAILURE
    session.open()
    try:
        shown = _watch(session, output, wish)
        failed |= shown.failed
        failed |= _lacking(shown, wish)
        if wish.summary:
            failed |= _sum_up(session, output, wish, shown)
    except DaemonUnreachable as error:
        what = "the totals of this watch are unknown" if wish.summary else "the watch ends"
        raise DaemonUnreachable(f"{what}: {str(error).splitlines()[0]}") from error
    failed |= problems(session.problems)
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _lacking(shown: Screen, wish: Wish) -> bool:
    """Whether this is CSV that lacks events, which is then said once more, at its end."""
    lost = shown.lost + shown.skipped
    if wish.form.kind != "csv" or not (lost or shown.unknown):
        return False
    least = "at least " if shown.unknown else ""
    say(f"netioctl: this CSV lacks {least}{counted(lost)}")
    return True


def _sum_up(session: Session | Replay, output: Output, wish: Wish, shown: Screen) -> bool:
    """Print the totals; whether some could not be had."""
    totals = session.summary()
    failed = options.report(totals.errors)
    as_json = wish.form.kind == "json"
    if not as_json and (wish.events or wish.interval is not None):
        output.write("\n")
    draw(output, totals, as_json, skipped=shown.skipped, hidden=shown.hidden)
    return failed


def _watch(session: Session | Replay, output: Output, wish: Wish) -> Screen:
    """Print events until something ends the watch."""
    if wish.form.kind not in _DATA:
        from netioctl.render import palette

        colour = palette.wanted(output.terminal() is not None, os.environ)
        wish = wish._replace(form=wish.form._replace(colour=colour))
    shown = screen(session, output, wish)
    pipe = output.pipe()
    if pipe is not None:
        session.register(pipe, 0)  # poll() always tells of errors
    with Stop() as stop:
        session.register(stop.descriptor, select.POLLIN)
        # In every mode: whoever starts the traffic after the watch waits for this line.
        say(f"{session.verb} {session.named}; Ctrl+C ends")
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
