"""`netioctl summary`: totals since a process was attached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netioctl import stats
from netioctl.answers import Summary
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output
from netioctl.recording.options import Source, problems, source
from netioctl.targets import NONE_GIVEN, Targets
from netioctl.wire.errors import NotChosen

if TYPE_CHECKING:
    from netioctl.choosing import Named
    from netioctl.client import Client

#: Connections that are listed on a terminal, lest the totals scroll away.
MOST_ON_TERMINAL = 50


@click.command(
    short_help="Show totals since processes were attached.",
    context_settings=options.PID_SETTINGS,
)
@options.named
@options.as_json
@source
@options.run_dir
def command(
    pids: tuple[int, ...], named: Named, as_json: bool, source: Source | None
) -> ExitStatus:
    """Show what processes have sent and received since they were attached, in total and per
    connection. The totals of a process that exited stay for ten minutes.

    \b
    Examples:
      netioctl add 1234; sleep 60; netioctl summary 1234
      netioctl summary --json 1234 | jq .total
      netioctl summary --from web.netio --until +1m
      netioctl summary --name nginx     all that is or was held of that name
    """
    if not (pids or named or source):
        raise click.UsageError(NONE_GIVEN)
    output = Output()
    if source is not None:
        return _recorded(output, options.recorded(pids, named), as_json, source)
    with options.connect() as client:
        answer = client.summary((*pids, *_held(client, named)) if named else pids)
    if answer.processes:
        whole = answer._replace(rows=stats.merge(answer.rows))
        draw(output, whole, as_json, since_start=True)
    return ExitStatus.FAILURE if options.report(answer.errors) else ExitStatus.OK


def _recorded(output: Output, targets: Targets, as_json: bool, source: Source) -> ExitStatus:
    with source.replay(targets) as replay:
        replay.skip()
        if replay.watched:
            answer = replay.summary()
            draw(output, answer._replace(rows=stats.merge(answer.rows)), as_json)
        failed = options.report(replay.errors)
        failed |= problems(replay.problems)
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _held(client: Client, named: Named) -> list[int]:
    """The PIDs of what is held and named.

    Raises:
        NotChosen: nothing is.
    """
    from netioctl.choosing import matcher

    matches = matcher(named)
    processes = (row.process for row in client.list())
    found = [each.pid for each in processes if matches(each.pid, each.comm, each.uid)]
    if not found:
        raise NotChosen("nothing that is watched or added, or was, matches (see: netioctl list)")
    return found


def draw(
    output: Output,
    value: Summary,
    as_json: bool,
    *,
    since_start: bool = False,
    skipped: int = 0,
    hidden: int | None = None,
) -> None:
    """Print totals and connections; what is keyword-only is as in render.summary."""
    if as_json:
        from netioctl.render import json

        output.write(json.summary(value, skipped, hidden))
        return
    from netioctl.render import summary

    width = output.width()
    most = None if width is None else MOST_ON_TERMINAL
    text = summary.summary(
        value, width, most, since_start=since_start, skipped=skipped, hidden=hidden
    )
    output.write(text)
