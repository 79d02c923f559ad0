"""`netioctl list`: what is watched or added."""

from __future__ import annotations

import time

import click

from netioctl import targets
from netioctl.answers import Standing
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, say
from netioctl.recording.options import Source, problems, source


@click.command(short_help="Show which processes are watched or added.")
@options.as_json
@source
@options.run_dir
def command(as_json: bool, source: Source | None) -> ExitStatus:
    """Show the processes that are watched or were added, and those that exited in the last ten
    minutes, as far as you may see them.

    \b
    Examples:
      netioctl list
      netioctl list --json
      netioctl list --from web.netio    the processes of a recording

    BY is the user who added the process, - where only viewers hold it. SENT and RECV are what
    it moved since it was attached; 1 KB is 1,024 bytes.
    """
    output = Output()
    failed, now = False, time.time()
    selectors: tuple[Standing, ...] = ()
    if source is not None:
        with source.replay() as replay:
            rows, now = replay.list(), replay.until
            failed = problems(replay.problems)
    else:
        with options.connect() as client:
            rows, selectors = client.listing()
    if as_json:
        from netioctl.render import json

        output.write("".join(json.held(row, targets.user(row.process.uid)) for row in rows))
        output.write("".join(map(json.selector, selectors)))
        return ExitStatus.FAILURE if failed else ExitStatus.OK
    from netioctl.render import table

    output.write(table.held(rows, targets.user, now, output.width()))
    for selector in selectors:
        say(f"{selector.label} was added by {targets.user(selector.added_by)}")
    if not (rows or selectors) and source is None:
        say("no process is watched or added: netioctl watch PID, netioctl add PID")
    return ExitStatus.FAILURE if failed else ExitStatus.OK
