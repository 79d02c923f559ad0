"""`netioctl completion`: what a shell reads to complete netioctl."""

from __future__ import annotations

import click

from netioctl.exit_status import ExitStatus
from netioctl.output import Output


@click.command(short_help="Print what bash, zsh or fish reads to complete netioctl.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> ExitStatus:
    """Print the script that completes verbs, options and PIDs: your own processes, with names.
    Packages and ./netio install have put it in place already.

    \b
    Examples:
      netioctl completion bash >>~/.bashrc
      netioctl completion zsh >>~/.zshrc
      netioctl completion fish >~/.config/fish/completions/netioctl.fish

    bash has to be 4.4 or later; zsh's has to stand behind compinit.
    """
    from netioctl import shells

    Output().write(shells.script(click.get_current_context().find_root().command, shell))
    return ExitStatus.OK
