"""netio beside the floor and beside a script for BCC, from what was taken in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace

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
_SCRIPT = "bcc-ring"
#: Where netio's daemon is taken from: the first that was measured.
_DAEMONS = ("watched-light", "watched")
#: Whose share of events stands in the table: a high speed is also had by losing them.
_DELIVERIES = {
    "watched": "netio, `netioctl watch --json`",
    "bcc-ring": "BCC script, ring buffer",
    "bcc-perf": "BCC script, perf buffer",
}


def results(plan: Plan, workload: str, taken: Mapping[str, Taken]) -> list[Result]:
    """Ratios of medians of shares, and of CPU time for an event; only of what was measured.

    `workload`: its name. The floor, shares of events and the goals belong to the worst case.
    """
    worst = plan.name == "speed"
    found = [*_of_floor(taken), *_delivered(taken)] if worst else []
    found += _of_cpu(taken, at_least(20) if worst else None)
    return [
        replace(each, name=f"{plan.name}.{each.name}", what=f"{workload}: {each.what}")
        for each in found
    ]


def _of_floor(taken: Mapping[str, Taken]) -> Iterator[Result]:
    for name, what, condition, floor, goal in _RATIOS:
        if condition in taken and floor in taken:
            ratio = taken[condition].share / taken[floor].share
            yield Result(name, what, "share", (ratio,), goal)


def _delivered(taken: Mapping[str, Taken]) -> Iterator[Result]:
    for name, who in _DELIVERIES.items():
        if name in taken and (shares := taken[name].delivered()):
            what = f"share of events delivered, {who}"
            yield Result(f"delivered-{name}", what, "share", tuple(shares))


def _of_cpu(taken: Mapping[str, Taken], goal: Goal | None) -> Iterator[Result]:
    script = taken[_SCRIPT].cpu_a_million_events() if _SCRIPT in taken else []
    of_daemon = (taken[name].cpu_a_million_events() for name in _DAEMONS if name in taken)
    daemon = next(of_daemon, [])
    if script:
        what = "CPU a million delivered events, BCC script, ring buffer"
        yield Result("cpu-bcc-ring", what, "s", tuple(script))
    if script and daemon:
        ratios = tuple(one / other for one, other in zip(script, daemon))
        what = "the same, as a multiple of what netio's daemon takes, with one viewer"
        details = {"daemon_cpu_a_million": statistics.median(daemon)}
        yield Result("cpu-bcc-ring-of-netio", what, "times", ratios, goal, details)
