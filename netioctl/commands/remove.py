"""`netioctl remove`: undo `add`."""

from __future__ import annotations

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say


@click.command(short_help="Undo `add`.", context_settings=options.PID_SETTINGS)
@options.pids
@options.run_dir
def command(pids: tuple[int, ...]) -> ExitStatus:
    """Let go of processes that were added. Those that someone watches stay attached until
    their last viewer leaves.

    \b
    Examples:
      netioctl remove 1234
      netioctl remove $(pgrep nginx)
    """
    with options.connect() as client:
        answer = client.remove(pids)
    for process in answer.processes:
        say(f"removed {process.pid} ({process.comm})")
    return ExitStatus.FAILURE if options.report(answer.errors) else ExitStatus.OK
