"""`netioctl add`: count a process until it exits, watched or not."""

from __future__ import annotations

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say
from netioctl.targets import Targets, children


@click.command(
    short_help="Count processes until `remove` or their exit.",
    context_settings=options.PID_SETTINGS,
)
@options.counted_targets
@options.run_dir
def command(targets: Targets) -> ExitStatus:
    """Attach processes so that their bytes are counted until `remove` or their exit, also while
    nobody watches. Selectors, such as --name, go on choosing processes until they are removed.

    \b
    Examples:
      netioctl add 1234
      netioctl add $(pgrep nginx)
      netioctl summary 1234           what it has sent and received since
      netioctl add --follow 1234      its children, too
      netioctl add --name nginx       all of that name, now and later
    """
    with options.connect() as client:
        answer = client.add(targets.pids, selectors=targets.selectors, follow=targets.follow)
        if targets.follow and answer.processes:
            # From here on the kernel sees new ones; those of before are looked for.
            below = children(process.pid for process in answer.processes)
            more = client.add(below, follow=True) if below else None
            if more is not None:
                answer = answer._replace(processes=answer.processes + more.processes)
    for process in answer.processes:
        say(process.notice or f"added {process.pid} ({process.comm})")
    failed = options.report(answer.errors)
    for selector, new in zip(targets.selectors, answer.selectors):
        say(f"added {selector.label}" if new else f"{selector.label} was already added")
    return ExitStatus.FAILURE if failed else ExitStatus.OK
