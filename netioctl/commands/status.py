"""`netioctl status`: how the daemon does."""

from __future__ import annotations

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output


@click.command(short_help="Show how the daemon does, and what it cannot see.")
@options.as_json
@options.run_dir
def command(as_json: bool) -> ExitStatus:
    """Show the daemon's version, kernel, back-end with what it cannot see, losses, viewers,
    memory and CPU. Root and members of the daemon's group see more than others.

    \b
    Examples:
      netioctl status
      netioctl status --json
    """
    output = Output()
    with options.connect() as client:
        answer = client.status()
    if as_json:
        from netioctl.render import json

        output.write(json.status(answer))
    else:
        from netioctl.render import status

        output.write(status.status(answer, output.width()))
    return ExitStatus.OK
