"""`netioctl pick`: choose processes at the terminal."""

from __future__ import annotations

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output


@click.command(short_help="Choose processes that have sockets, and print their PIDs.")
@options.run_dir
def command() -> ExitStatus:
    """Choose from your processes that have sockets, as root from all of them, on a full screen;
    the PIDs of those that were chosen go to stdout. `netioctl watch` without PIDs does the same
    and watches them.

    \b
    Examples:
      netioctl top $(netioctl pick)
      netioctl add $(netioctl pick)

    The most active ones stand first: up to 200 processes, those with most sockets, are attached
    for half a second, and BYTES is what each sent and received in that time. The others follow
    by the number of their sockets.

    Type to filter by PID, name or command line; arrow keys move, Space marks several, Enter
    takes what is marked, or else the one that is highlighted. Esc and Ctrl+C choose nothing:
    exit status 130.
    """
    output = Output()
    chosen = options.pick()
    output.write("".join(f"{pid}\n" for pid in chosen))
    return ExitStatus.OK if chosen else ExitStatus.INTERRUPTED
