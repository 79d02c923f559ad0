"""`netioctl add`: count a process until it exits, watched or not."""

from __future__ import annotations

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say


@click.command(
    short_help="Count processes until `remove` or their exit.",
    context_settings=options.PID_SETTINGS,
)
@options.pids
@options.run_dir
def command(pids: tuple[int, ...]) -> ExitStatus:
    """Attach processes so that their bytes are counted until `remove` or their exit, also while
    nobody watches.

    \b
    Examples:
      netioctl add 1234
      netioctl add $(pgrep nginx)
      netioctl summary 1234           what it has sent and received since
    """
    with options.connect() as client:
        answer = client.add(pids)
    for process in answer.processes:
        say(process.notice or f"added {process.pid} ({process.comm})")
    return ExitStatus.FAILURE if options.report(answer.errors) else ExitStatus.OK
