"""Share of speed kept: a bar a condition, one plot a workload."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from tests.bench.plots import Plot, canvas
from tests.bench.report import number
from tests.bench.results import Result

#: Of results that do not say which workload they are about.
_WORKLOAD = "udp-pairs"
#: Characters of a line of a label.
_WIDTH = 38
#: A goal that is no farther from the end of a bar would stand in the way of its number.
_NEAR = 0.1


def by_workload(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The shares of speed for each workload, in order.

    A result says which it is in its details (`workload`) or its name (speed.WORKLOAD.CONDITION).
    """
    found: dict[str, list[Result]] = {}
    for result in results:
        kind, *rest = result.name.split(".")
        if kind == "speed" and result.unit == "share":
            named = rest[0] if len(rest) > 1 else _WORKLOAD
            found.setdefault(str(result.details.get("workload", named)), []).append(result)
    return found


def label(result: Result) -> str:
    """What stands at its bar: what follows "share of speed kept, ", and no formulas."""
    _, _, condition = result.what.partition(", ")
    return textwrap.fill((condition or result.what).replace("`", "").replace("$", r"\$"), _WIDTH)


def plots(results: Iterable[Result]) -> list[Plot]:
    """A plot for each workload; bars of other tools (`tool` in details) have another colour."""
    return [_plot(workload, shares) for workload, shares in by_workload(results).items()]


def _plot(workload: str, results: list[Result]) -> Plot:
    labels = [label(result) for result in results]
    lines = sum(text.count("\n") for text in labels)
    made, (axes,) = canvas.figure(1.1 + 0.32 * len(results) + 0.1 * lines)
    title = f"Share of speed that a process keeps: {workload}"
    at = range(len(results))
    medians = [result.median for result in results]
    axes.barh(
        at,
        medians,
        height=0.6,
        color=[canvas.ORANGE if "tool" in each.details else canvas.BLUE for each in results],
        xerr=[
            [each.median - min(each.values) for each in results],
            [max(each.values) - each.median for each in results],
        ],
        error_kw={"ecolor": "black", "elinewidth": 0.8, "capsize": 2},
    )
    axes.axvline(1.0, color=canvas.GREY, linewidth=0.8, linestyle="--", label="without netio")
    goals = [(each.goal.bound, y) for y, each in zip(at, results) if each.goal is not None]
    if goals:
        style = {"marker": "|", "markersize": 16, "markeredgewidth": 2, "linestyle": "none"}
        axes.plot(*zip(*goals), color=canvas.GOAL, label="goal", **style)
    for y, result in zip(at, results):
        axes.annotate(
            number(result.median),
            (end(result), y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_yticks(at)
    axes.set_yticklabels(labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(1.0, *(max(result.values) for result in results)))
    axes.set_xlabel("share of the speed without netio; median, lowest and highest")
    canvas.head(axes, title)
    return Plot(f"speed-{workload}", title, canvas.svg(made))


def end(result: Result) -> float:
    """Where a bar ends, with all that is drawn there."""
    highest = max(result.values)
    bound = 0.0 if result.goal is None else result.goal.bound
    return max(highest, bound) if bound < highest + _NEAR else highest
