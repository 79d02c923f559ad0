"""netioctl's command line: finds the verb, prints errors, sets the exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from netioctl import __version__
from netioctl.commands import COMMANDS, options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, StdoutClosed, ensure_stdout, say, silence
from netioctl.wire.errors import DaemonUnreachable, NetioError, UsageError


class _Verbs(click.Group):
    """Imports a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 # click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        import importlib

        module = importlib.import_module(f"netioctl.commands.{cmd_name}")
        found: click.Command = module.command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0].isdecimal():
            ctx.fail(f"which verb? netioctl watch {args[0]}, for example")
        return super().resolve_command(ctx, args)


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        Output().write(f"netioctl {__version__}\n")
        context.exit()


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=(
        "Exit status: 0 done; 1 something failed, with several PIDs at least one of them; "
        "2 wrong usage; 3 the daemon cannot be reached or went away; 130 Ctrl+C before "
        "anything was watched; 141 nobody reads stdout any more."
    ),
)
@options.run_dir
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def cli(context: click.Context) -> ExitStatus:
    """Watch what processes send and receive: live, per connection, counted in the kernel.

    \b
    Examples:
      netioctl watch 1234                   live until Ctrl+C, then totals
      netioctl watch $(pgrep nginx)         several processes
      netioctl watch --json 1234 | jq .     one object an event
      netioctl add 1234                     count from now on, watched or not
      netioctl summary 1234                 totals so far
      netioctl list                         what is watched or added
      netioctl status                       how the daemon does

    netiod has to run; see `netioctl COMMAND --help` for each command.
    """
    if context.invoked_subcommand is None:
        say(context.get_help())
        return ExitStatus.USAGE
    return ExitStatus.OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run netioctl with `arguments` (default: those of the process); its exit status."""
    ensure_stdout()
    try:
        return int(_run(list(sys.argv[1:] if arguments is None else arguments)))
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "netioctl"
        say(f"netioctl: {error.format_message()} (see: {path} --help)")
        return ExitStatus.USAGE
    except NetioError as error:
        say(f"netioctl: {error}")
        if isinstance(error, UsageError):
            return ExitStatus.USAGE
        unreachable = isinstance(error, DaemonUnreachable)
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
