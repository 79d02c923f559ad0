"""How the time from a system call to the screen is distributed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tests.bench.plots import Plot, canvas
from tests.bench.results import Result

#: Percentiles that have a mark on the axis; the slowest event stands at the end.
_TICKS = (0, 50, 75, 90, 95, 99, 99.9)


def position(percent: float, slowest: float = 99.97) -> float:
    """Where a percentile stands: each nine takes as much room as the one before."""
    return -math.log10(1 - min(percent, slowest) / 100)


def plots(results: Iterable[Result]) -> list[Plot]:
    """One plot, of results whose details have `percentiles`."""
    taken = [result for result in results if result.name.startswith("latency.p")]
    if not taken:
        return []
    made, (axes,) = canvas.figure(3.4)
    title = "From system call to line on stdout"
    percentiles = {float(at): ms for at, ms in taken[0].details["percentiles"].items()}
    axes.plot(
        [position(at) for at in percentiles],
        list(percentiles.values()),
        color=canvas.BLUE,
        marker=".",
        label="netioctl watch --json",
    )
    goals = [(position(percent_of(each)), each.goal.bound) for each in taken if each.goal]
    if goals:
        style = {"marker": "_", "markersize": 20, "markeredgewidth": 2, "linestyle": "none"}
        axes.plot(*zip(*goals), color=canvas.GOAL, label="goal", **style)
    axes.set_xticks([*map(position, _TICKS), position(100)])
    axes.set_xticklabels([*(f"{at:g}" for at in _TICKS), "slowest"])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("percentile of events")
    axes.set_ylabel("ms")
    canvas.head(axes, title)
    canvas.rule(axes)
    return [Plot("latency", title, canvas.svg(made))]


def percent_of(result: Result) -> float:
    """99 of latency.p99."""
    return float(result.name.partition(".p")[2])
