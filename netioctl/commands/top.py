"""`netioctl top`: who moves how much, live and sorted."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from netioctl import targets as targets_
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, say
from netioctl.recording.options import Source, problems, replay_speed, source
from netioctl.session import Session
from netioctl.targets import Targets
from netioctl.top import script
from netioctl.top.columns import NAMES
from netioctl.top.follow import Follow
from netioctl.top.model import Model
from netioctl.top.sampler import Sampler
from netioctl.top.state import State
from netioctl.wire.errors import DaemonUnreachable, UsageError

if TYPE_CHECKING:
    from netioctl.client import Client
    from netioctl.recording.stepped import Stepped

#: An empty $(pgrep NAME) is no PID either: nobody should take this for what they asked for.
_ALL = "no PID given: these are all that are watched or added"


@click.command(
    short_help="Show processes or connections live, sorted by rate.",
    context_settings=options.PID_SETTINGS,
)
@options.any_targets
@click.option("--connections", "-c", is_flag=True, help="Connections instead of processes.")
@click.option("--tree", is_flag=True, help="Processes below those that they are children of.")
@click.option(
    "--sort",
    type=click.Choice(NAMES),
    default="rate",
    metavar="COLUMN",
    help=f"Sort by one of {', '.join(NAMES)}.",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option(
    "--filter",
    "text",
    metavar="TEXT",
    default="",
    help="Only rows that have all these words in them, as with the key /.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    metavar="SECONDS",
    default=1.0,
    help="From one sample to the next; 1.",
)
@click.option("--once", is_flag=True, help="Print one sample as a table, and end.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N samples.")
@options.as_json
@source
@replay_speed
@options.run_dir
def command(
    targets: Targets,
    connections: bool,
    tree: bool,
    sort: str,
    reverse: bool,
    text: str,
    interval: float,
    once: bool,
    count: int | None,
    as_json: bool,
    source: Source | None,
    replay_speed: float | None,
) -> ExitStatus:
    """Show what processes send and receive each second, on a full screen: processes or their
    connections, sorted, with totals and the course of the last minute. Without PIDs, as where
    $(pgrep NAME) finds none, all of netioctl list, and it says so. h shows the keys.

    \b
    Examples:
      netioctl top $(pgrep nginx)
      netioctl top --connections 1234
      netioctl top --once --sort recv-rate $(pgrep nginx)
      netioctl top --json --count 60 1234 | jq .rate.sent_bytes
      netioctl top --from web.netio --replay-speed 10

    Reads the kernel's counters once an interval, so that it costs those who are watched
    nothing but counting. Totals are since the process was attached; 1 KB is 1,024 bytes.

    --json prints an object for each row and interval, until Ctrl+C or until all have exited;
    --once and --count say how many intervals. Its type is process or connection; total is as
    in `netioctl list`, rate the same for each second, or null where it is not known yet. Exit
    status is as for `netioctl watch`.
    """
    if once and count is not None:
        raise click.UsageError("--once is --count 1: give one of them")
    output = Output()
    scripted = as_json or once or count is not None
    if not scripted and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal: --once or --json print to a pipe or file")
    state = State(connections=connections, tree=tree, sort=sort, reverse=reverse, text=text)
    wish = script.Wish(as_json, 1 if once else count) if scripted else None
    if source is not None:
        speed = replay_speed if scripted else replay_speed or 1.0
        return _replay(
            source.stepped(targets, interval, speed=speed), state, interval, wish, output
        )
    return _live(targets, state, interval, wish, output)


def _live(
    targets: Targets, state: State, interval: float, wish: script.Wish | None, output: Output
) -> ExitStatus:
    """Attach what is wanted, and show it until it ends."""
    with options.connect() as client:
        # Without PIDs, what others hold from now on belongs to it too.
        closed = bool(targets.pids or targets.selectors)
        wanted = targets if closed else _held(client)
        if not (wanted.pids or wanted.selectors):
            say(
                "netioctl: nothing that you may see is watched or added: netioctl top PID, or "
                "netioctl top $(netioctl pick)"
            )
            return ExitStatus.FAILURE
        with Session(client, wanted, stream=False, totals=False) as session:
            session.attach()
            failed = options.report(session.errors) and closed
            if not (session.watched or targets.selectors):
                return ExitStatus.FAILURE
            session.open()
            follow = Follow(Model(targets_.user, closed=closed))
            for process in session.watched:
                follow.model.began(process)
            if not closed and wish is None:
                follow.notes.say(_ALL, time.monotonic())
            elif not closed:
                say(_ALL)
            if failed:
                follow.notes.say("some of the PIDs could not be watched", time.monotonic())
            try:
                _show(session, follow, state, interval, wish, output)
            except DaemonUnreachable as error:
                raise DaemonUnreachable(f"top ends: {str(error).splitlines()[0]}") from error
    return ExitStatus.FAILURE if failed or follow.failed else ExitStatus.OK


def _show(
    session: Session,
    follow: Follow,
    state: State,
    interval: float,
    wish: script.Wish | None,
    output: Output,
) -> None:
    # A connection of its own: keys do not wait for its answers.
    with options.connect() as client, Sampler(client, interval) as sampler:
        if wish is not None:
            script.run(session, sampler, follow, state, wish, output)
        else:
            from netioctl.top import live

            live.run(session, sampler, follow, state, interval)


def _replay(
    replay: Stepped, state: State, interval: float, wish: script.Wish | None, output: Output
) -> ExitStatus:
    """The same of a recording."""
    from netioctl.top.recorded import Recorded

    with replay:
        failed = options.report(replay.errors)
        follow = Follow(
            Model(targets_.user, closed=True), replay.clock, lambda: replay.time_ns() / 1e9
        )
        for process in replay.watched:
            follow.model.began(process)
        replay.open()
        with Recorded(replay) as sampler:
            if wish is not None:
                script.run(replay, sampler, follow, state, wish, output)
            else:
                from netioctl.top import live

                live.run(replay, sampler, follow, state, interval)
        failed |= problems(replay.problems)
    return ExitStatus.FAILURE if failed or follow.failed else ExitStatus.OK


def _held(client: Client) -> Targets:
    return Targets(tuple(row.process.pid for row in client.list() if row.exited is None))
