"""How verbs are found, and how their help is laid out: usage, one line, examples, options, more."""

from __future__ import annotations

import importlib
import inspect

import click

from netioctl.commands import COMMANDS, SECTIONS


class Verbs(click.Group):
    """Imports a verb's module when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        """All of them, whatever can be imported."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 # click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """The verb `cmd_name`, None if there is no such verb."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"netioctl.commands.{cmd_name}")
        found: click.Command = module.command
        return _examples_first(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but a PID where a verb should be is answered with one."""
        if args and args[0].isdecimal() and not ctx.resilient_parsing:
            ctx.fail(f"which verb? netioctl watch {args[0]}, for example")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list for each of SECTIONS."""
        longest = max(map(len, COMMANDS))
        limit = formatter.width - 6 - longest
        for title, verbs in SECTIONS:
            found = ((verb, self.get_command(ctx, verb)) for verb in verbs)
            rows = [
                (f"{verb:<{longest}}", each.get_short_help_str(limit))
                for verb, each in found
                if each
            ]
            with formatter.section(title):
                formatter.write_dl(rows, col_max=limit)


def _examples_first(command: click.Command) -> click.Command:
    """`command` with what its docstring says after the examples moved behind the options."""
    text = inspect.cleandoc(command.help or "")
    head, marker, rest = text.partition("\b\nExamples:\n")
    if marker and command.epilog is None:
        examples, _, more = rest.partition("\n\n")
        command.help, command.epilog = head + marker + examples, more.strip() or None
    return command
