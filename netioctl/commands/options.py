"""Options and arguments that several verbs share, and the connection that all of them need."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netioctl import targets
from netioctl.answers import Failure
from netioctl.client import TIMEOUT, Client
from netioctl.commands import choosing
from netioctl.exit_status import ExitStatus
from netioctl.output import say

if TYPE_CHECKING:
    from netioctl.choosing import Named

F = TypeVar("F", bound=Callable[..., Any])
#: For verbs that take PIDs: `-5` is then a wrong PID instead of an unknown option.
PID_SETTINGS = {"ignore_unknown_options": True}
_KEY = "netioctl.run_dir"
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Duration(click.ParamType):
    """A time span in seconds: 5, 2.5, 10s, 1m."""

    name = "duration"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Seconds, more than 0."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]*)", value, re.ASCII)
        if match is None or match[2] not in _UNITS:
            self.fail(f"not a duration: {value}; 5, 2.5, 10s, 1m are", parameter, context)
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds <= 0:
            self.fail("a duration is more than 0 seconds", parameter, context)
        return seconds


def duration(function: F) -> F:
    """--duration, in seconds; infinite where it is not given."""
    return click.option(
        "--duration",
        type=Duration(),
        metavar="TIME",
        default=math.inf,
        help="End after so many seconds; 10s, 1m, 2h also do.",
    )(function)


def run_dir(function: F) -> F:
    """--run-dir, before or behind the verb."""
    return click.option(
        "--run-dir",
        metavar="DIR",
        type=click.Path(file_okay=False),
        expose_value=False,
        callback=_keep_run_dir,
        help="Run directory of the daemon to talk to (NETIO_RUN_DIR; /run/netio).",
    )(function)


def as_json(function: F) -> F:
    """--json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="One JSON object a line on stdout, nothing else."
    )(function)


def targets_(function: F) -> F:
    """PID... and selectors, as Targets named `targets`; at least one."""
    return choosing.targets(function, required=True)


def counted_targets(function: F) -> F:
    """As targets_, where nothing need be there yet."""
    return choosing.targets(function, required=True, must_match=False)


def named(function: F) -> F:
    """PID... as `pids` and selectors as `named` (netioctl.choosing.Named); may all be missing."""
    return choosing.named(function)


def recorded(pids: tuple[int, ...], named: Named) -> targets.Targets:
    """What is meant of a recording."""
    return choosing.resolve(pids, named, False, must_match=False)


def kept_targets(function: F) -> F:
    """As any_targets, where nothing need be there yet."""
    return choosing.targets(function, required=False, must_match=False)


def any_targets(function: F) -> F:
    """PID... and selectors, as Targets named `targets`; may be none: the verb then finds some."""
    return choosing.targets(function, required=False)


def pick() -> tuple[int, ...]:
    """PIDs that are chosen at the terminal; empty: none."""
    from netioctl.picking import screen

    with connect() as client:
        return screen.pick(client)


def or_picked(given: targets.Targets) -> targets.Targets:
    """`given`, or where nothing is, what is chosen at the terminal."""
    if given.pids or given.selectors:
        return given
    context = click.get_current_context()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(targets.NONE_GIVEN, context)
    chosen = pick()
    if not chosen:
        context.exit(ExitStatus.INTERRUPTED)
    return given._replace(pids=chosen)


def connect(timeout: float = TIMEOUT) -> Client:
    """The client for the run directory that was chosen; `timeout` in seconds."""
    return Client(chosen_run_dir(), timeout=timeout)


def chosen_run_dir() -> str | None:
    """What --run-dir said, if it was given."""
    chosen: str | None = click.get_current_context().meta.get(_KEY)
    return chosen


def report(errors: Iterable[Failure]) -> bool:
    """A line for each PID that failed; whether there was one."""
    failed = False
    for failure in errors:
        say(f"netioctl: {targets.explain(failure)}")
        failed = True
    return failed


def _keep_run_dir(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value == "":
        raise click.UsageError("--run-dir needs the name of a directory", context)
    if value is not None:
        context.meta[_KEY] = value
