"""What an event costs, by the number of processes and of connections."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.bench.plots import Plot, canvas
from tests.bench.results import Result

#: Of each part of the cost: its colour, and how many points above a mark its number stands.
_PARTS = {"daemon": (canvas.BLUE, 5), "hooks": (canvas.ORANGE, -11)}


def plots(results: Iterable[Result]) -> list[Plot]:
    """One plot, with axes for each thing that grows: results growth.THING.PART with `cost`."""
    series: dict[str, dict[str, Result]] = {}
    for result in results:
        kind, *rest = result.name.split(".")
        if kind == "growth":
            thing, part = rest
            series.setdefault(thing, {})[part] = result
    if not series:
        return []
    made, all_axes = canvas.figure(3.4, len(series))
    title = "CPU time that an event takes, by number of processes and connections"
    for axes, (thing, parts) in zip(all_axes, series.items()):
        # First: it brings ticks of its own.
        axes.set_xscale("log")
        for part, result in parts.items():
            _line(axes, part, result)
        axes.margins(0.12)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(thing)
        canvas.head(axes, f"CPU time of an event, by number of {thing}", legend=axes is all_axes[0])
        canvas.rule(axes)
    all_axes[0].set_ylabel("ns an event; median, lowest and highest")
    return [Plot("growth", title, canvas.svg(made))]


def _line(axes: Any, part: str, result: Result) -> None:
    colour, above = _PARTS[part]
    cost: Mapping[str, Sequence[float]] = result.details["cost"]
    numbers = [int(number) for number in cost]
    medians = [statistics.median(values) for values in cost.values()]
    axes.errorbar(
        numbers,
        medians,
        yerr=[
            [median - min(values) for median, values in zip(medians, cost.values())],
            [max(values) - median for median, values in zip(medians, cost.values())],
        ],
        color=colour,
        marker="o",
        markersize=4,
        capsize=2,
        label=part,
    )
    for number, median in zip(numbers, medians):
        axes.annotate(
            f"{median:,.0f}",
            (number, median),
            xytext=(0, above),
            textcoords="offset points",
            ha="center",
            color=colour,
        )
    if result.goal is not None:
        bound = medians[0] * result.goal.bound
        axes.axhline(bound, color=colour, linestyle=":", linewidth=1, label=f"{part}, goal")
    axes.set_xticks(numbers)
    axes.set_xticklabels([f"{number:,}" for number in numbers])
    axes.minorticks_off()
