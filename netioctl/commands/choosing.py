"""The options that say which processes are meant: PIDs, --name, --user, --unit and the others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netioctl import completion
from netioctl import targets as targets_
from netioctl.output import say
from netioctl.recording.options import FROM
from netioctl.targets import Targets
from netioctl.wire.errors import UsageError

if TYPE_CHECKING:
    from netioctl.choosing import Named

F = TypeVar("F", bound=Callable[..., Any])
_TEXTS = (
    (
        "--name",
        "names",
        "NAME",
        "Processes of that name (the kernel keeps 15 bytes of it).",
        completion.names,
    ),
    ("--user", "users", "USER", "Processes of a user, by name or uid.", completion.users),
    ("--cgroup", "cgroups", "PATH", "Processes in a cgroup (cgroup2) and below it.", None),
    ("--unit", "units", "UNIT", "Processes of a systemd unit.", completion.units),
    (
        "--container",
        "containers",
        "NAME|ID",
        "Processes of a container (docker, podman, nerdctl; by id also of any other runtime), or "
        "of a Kubernetes pod, by its uid.",
        None,
    ),
)


def named(function: F) -> F:
    """PID... as `pids` (checked, may be empty) and the selectors as `named`."""

    @functools.wraps(function)
    def run(*args: Any, pids: tuple[str, ...], everything: bool, **rest: Any) -> Any:
        from netioctl.choosing import Named

        texts = {name: rest.pop(name) for _, name, *_ in _TEXTS}
        return function(*args, pids=pids, named=Named(**texts, all=everything), **rest)

    run = click.option(
        "--all", "everything", is_flag=True, help="All processes, for root and group netio."
    )(run)
    for option, name, metavar, text, complete in reversed(_TEXTS):
        run = click.option(
            option,
            name,
            metavar=metavar,
            multiple=True,
            shell_complete=complete,
            help=f"{text} May be repeated.",
        )(run)
    return click.argument(
        "pids", nargs=-1, metavar="[PID]...", callback=_parse_pids, shell_complete=completion.pids
    )(run)  # type: ignore[return-value]


def targets(function: F, *, required: bool, must_match: bool = True) -> F:
    """PID..., selectors, --follow and --wait, as Targets named `targets`."""

    @functools.wraps(function)
    def run(
        *args: Any, pids: tuple[int, ...], named: Named, follow: bool, wait: bool, **rest: Any
    ) -> Any:
        recorded = FROM in click.get_current_context().meta
        if required and not (pids or named or recorded):
            raise click.UsageError(targets_.NONE_GIVEN)
        found = resolve(
            pids, named, follow, must_match=must_match and not recorded, wait=say if wait else None
        )
        return function(*args, targets=found, **rest)

    run = click.option(
        "--wait",
        is_flag=True,
        help="Wait for what a selector names, instead of ending where nothing is there yet.",
    )(run)
    run = click.option(
        "--follow",
        is_flag=True,
        help="The children of all these, too, those that they have and those to come, from their "
        "first byte, and theirs.",
    )(run)
    return named(run)  # type: ignore[return-value]


def resolve(
    pids: tuple[int, ...],
    named: Named,
    follow: bool,
    *,
    must_match: bool = True,
    wait: Callable[[str], None] | None = None,
) -> Targets:
    """The targets that are meant; see netioctl.choosing.selectors().

    Raises:
        NotChosen: a selector matches nothing, and that is not to be waited for.
        UsageError: something is named that cannot be.
    """
    if not named:
        return Targets(pids, (), follow)
    from netioctl.choosing import selectors

    # Where there are PIDs as well, there is something to watch.
    return Targets(pids, selectors(named, must_match=must_match and not pids, wait=wait), follow)


def _parse_pids(
    context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[int, ...]:
    if context.resilient_parsing or not value:
        return ()
    try:
        return targets_.parse(value)
    except UsageError as error:
        raise click.UsageError(str(error), context) from error
