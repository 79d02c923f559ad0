"""netio beside the floor and beside a script for BCC, from what was taken in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from tests.bench.plans import Plan
from tests.bench.results import Goal, Result, at_least
from tests.bench.taken import Taken

#: Of the worst case: name, what, condition, the one it is divided by, goal.
_RATIOS = (
    (
        "watched-of-bare",
        "watched with --no-splice, of what bare hooks keep",
        "watched-no-splice",
        "bare",
        at_least(0.97),
    ),
    (
        "watched-light-of-bare",
        "watched by a viewer that only counts with --no-splice, of what bare hooks keep",
        "watched-light-no-splice",
        "bare",
        None,
    ),
    (
        "unwatched-of-empty",
        "not watched with --no-splice, of what empty hooks keep",
        "unwatched-no-splice",
        "empty",
        None,
    ),
)
_SCRIPT, _DAEMON = "bcc-ring", "watched-light"
#: Whose share of events stands in the table: a high speed is also had by losing them.
_DELIVERIES = {
    "watched": "netio, `netioctl watch --json`",
    "bcc-ring": "BCC script, ring buffer",
    "bcc-perf": "BCC script, perf buffer",
}


def results(plan: Plan, taken: Mapping[str, Taken]) -> list[Result]:
    """Ratios of medians of shares, and of CPU time for an event; only of what was measured."""
    if plan.name != "speed":
        return []
    return [*_of_floor(plan, taken), *_delivered(plan, taken), *_of_cpu(plan, taken)]


def _of_floor(plan: Plan, taken: Mapping[str, Taken]) -> Iterator[Result]:
    for name, what, condition, floor, goal in _RATIOS:
        if condition in taken and floor in taken:
            ratio = taken[condition].share / taken[floor].share
            yield _result(plan, name, what, "share", [ratio], goal)


def _delivered(plan: Plan, taken: Mapping[str, Taken]) -> Iterator[Result]:
    for name, who in _DELIVERIES.items():
        if name in taken and (shares := taken[name].delivered()):
            what = f"share of events delivered, {who}"
            yield _result(plan, f"delivered-{name}", what, "share", shares)


def _of_cpu(plan: Plan, taken: Mapping[str, Taken]) -> Iterator[Result]:
    script, daemon = (
        taken[name].cpu_a_million_events() if name in taken else [] for name in (_SCRIPT, _DAEMON)
    )
    if script:
        what = "CPU a million delivered events, BCC script, ring buffer"
        yield _result(plan, "cpu-bcc-ring", what, "s", script)
    if script and daemon:
        ratios = [one / other for one, other in zip(script, daemon)]
        what = "the same, as a multiple of what netio's daemon takes"
        details = {"daemon_cpu_a_million": statistics.median(daemon)}
        yield _result(plan, "cpu-bcc-ring-of-netio", what, "times", ratios, at_least(20), details)


def _result(
    plan: Plan,
    name: str,
    what: str,
    unit: str,
    values: list[float],
    goal: Goal | None = None,
    details: Mapping[str, float] | None = None,
) -> Result:
    return Result(f"{plan.name}.{name}", what, unit, tuple(values), goal, details or {})
