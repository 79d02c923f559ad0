"""netioctl's command line: finds the verb, prints errors, sets the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from netioctl import __version__
from netioctl.commands import options
from netioctl.exit_status import MEANINGS, ExitStatus
from netioctl.output import Output, StdoutClosed, ensure_stdout, say, silence
from netioctl.render.words import printable
from netioctl.verbs import Verbs
from netioctl.wire.errors import DaemonUnreachable, NetioError, UsageError

#: Seconds that --version waits for the daemon.
_VERSION_TIMEOUT = 0.5


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Exit status: "
    + "; ".join(f"{int(status)} {text}" for status, text in MEANINGS.items())
    + ".",
)
@options.run_dir
@click.option(
    "--version",
    is_flag=True,
    help="Print the versions of netioctl and of the daemon, if it answers.",
)
@click.pass_context
def cli(context: click.Context, version: bool) -> ExitStatus:
    """Watch what processes send and receive: live, per connection, counted in the kernel.

    \b
    Examples:
      netioctl watch 1234                   live until Ctrl+C, then totals
      netioctl watch $(pgrep nginx)         several processes
      netioctl watch --json 1234 | jq .     one object an event
      netioctl top $(pgrep nginx)           who moves how much, on a full screen
      netioctl add 1234                     count from now on, watched or not
      netioctl summary 1234                 totals so far
      netioctl list                         what is watched or added
      netioctl doctor                       what is wrong, and what to do

    netiod has to run. netioctl COMMAND --help has examples of each command.
    """
    if version:
        _print_versions()
        context.exit()
    if context.invoked_subcommand is None:
        say(context.get_help())
        return ExitStatus.USAGE
    return ExitStatus.OK


def _print_versions() -> None:
    output = Output()
    output.write(f"netioctl {__version__}\n")
    try:
        with options.connect(timeout=_VERSION_TIMEOUT) as client:
            output.write(f"netiod {printable(client.server.version)}\n")
    except NetioError as error:
        # Whoever asks which version this is need not have a daemon.
        say(f"netiod: {str(error).splitlines()[0]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run netioctl with `arguments` (default: those of the process); its exit status."""
    ensure_stdout()
    if "_NETIOCTL_COMPLETE" in os.environ:
        from netioctl import shells

        return shells.complete(cli)
    try:
        return int(_run(list(sys.argv[1:] if arguments is None else arguments)))
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "netioctl"
        say(f"netioctl: {error.format_message()} (see: {path} --help)")
        return ExitStatus.USAGE
    except NetioError as error:
        unreachable = isinstance(error, DaemonUnreachable)
        say(f"netioctl: {error}" + ("; see: netioctl doctor" if unreachable else ""))
        if isinstance(error, UsageError):
            return ExitStatus.USAGE
        return ExitStatus.UNREACHABLE if unreachable else ExitStatus.FAILURE
    except (StdoutClosed, BrokenPipeError):
        silence()
        return ExitStatus.STDOUT_CLOSED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except OSError as error:
        # Whatever has to do with the daemon is a NetioError: this is stdout, on a full disk say.
        say(f"netioctl: cannot go on: {error.strerror or error}")
        silence()
        return ExitStatus.FAILURE


def _run(arguments: list[str]) -> int:
    try:
        with cli.make_context("netioctl", arguments) as context:
            status = cli.invoke(context)
            return status if isinstance(status, int) else ExitStatus.OK
    except click.exceptions.Exit as end:
        # --help and --version; what they wrote is still to be flushed.
        sys.stdout.flush()
        return end.exit_code
