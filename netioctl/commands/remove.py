"""`netioctl remove`: undo `add`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say
from netioctl.targets import NONE_GIVEN, Selector

if TYPE_CHECKING:
    from netioctl.choosing import Named


@click.command(short_help="Undo `add`.", context_settings=options.PID_SETTINGS)
@options.named
@options.run_dir
def command(pids: tuple[int, ...], named: Named) -> ExitStatus:
    """Let go of processes that were added. Those that someone watches stay attached until
    their last viewer leaves. A selector that was added chooses no more processes, and lets go of
    those that it had added.

    \b
    Examples:
      netioctl remove 1234
      netioctl remove $(pgrep nginx)
      netioctl remove --name nginx
    """
    if not (pids or named):
        raise click.UsageError(NONE_GIVEN)
    selectors: tuple[Selector, ...] = ()
    with options.connect() as client:
        if named:
            from netioctl import choosing

            known = [each.path for each in client.listing().selectors if each.path]
            selectors = choosing.selectors(named, must_match=False, known=known)
        answer = client.remove(pids, selectors=selectors)
    for process in answer.processes:
        say(f"removed {process.pid} ({process.comm})")
    failed = options.report(answer.errors)
    for selector, removed in zip(selectors, answer.selectors):
        if removed:
            say(f"removed {selector.label}")
        else:
            failed = True
            say(f"netioctl: {selector.label} was not added")
    return ExitStatus.FAILURE if failed else ExitStatus.OK
