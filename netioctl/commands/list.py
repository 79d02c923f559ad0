"""`netioctl list`: what is watched or added."""

from __future__ import annotations

import time

import click

from netioctl import targets
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, say


@click.command(short_help="Show which processes are watched or added.")
@options.as_json
@options.run_dir
def command(as_json: bool) -> ExitStatus:
    """Show the processes that are watched or were added, and those that exited in the last ten
    minutes, as far as you may see them.

    \b
    Examples:
      netioctl list
      netioctl list --json

    BY is the user who added the process, - where only viewers hold it. SENT and RECV are what
    it moved since it was attached; 1 KB is 1,024 bytes.
    """
    output = Output()
    with options.connect() as client:
        rows = client.list()
    if as_json:
        from netioctl.render import json

        output.write("".join(json.held(row, targets.user(row.process.uid)) for row in rows))
        return ExitStatus.OK
    from netioctl.render import table

    output.write(table.held(rows, targets.user, time.time(), output.width()))
    if not rows:
        say("no process is watched or added: netioctl watch PID, netioctl add PID")
    return ExitStatus.OK
