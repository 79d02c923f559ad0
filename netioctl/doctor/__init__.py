"""What `netioctl doctor` looks at: a list of small checks, each of which tells what it found.

A check is given the run directory and returns findings; to add one, write a function beside its
like and name it in CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netioctl.doctor import caller, daemon, needs, service
from netioctl.doctor.finding import Finding, Result

Check = Callable[[str], list[Finding]]
#: In the order in which they are shown.
CHECKS: tuple[Check, ...] = (
    needs.of_daemon,
    needs.of_client,
    service.unit,
    daemon.run_directory,
    daemon.answers,
    caller.rights,
    caller.processes,
    caller.descriptors,
)

__all__ = ["CHECKS", "Check", "Finding", "Result", "examine"]


def examine(run_dir: str) -> Iterator[Finding]:
    """The findings of all checks, each as soon as it is there."""
    for check in CHECKS:
        yield from check(run_dir)
