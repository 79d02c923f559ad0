"""Share of speed kept: a bar a condition, one plot a workload."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from tests.bench.plots import Plot, canvas
from tests.bench.report import number
from tests.bench.results import Result

#: What such a result is called: its workload, if it says so there, and its condition.
_WHAT = re.compile(r"(?:(.+): )?share of speed kept, (.+)")
#: Of results that do not say which workload they are about.
_WORKLOAD = "udp-pairs"
#: How the names of netio's own conditions begin; all others are other tools'.
_OWN = ("watched", "added", "unwatched")
#: Characters of a line of a label.
_WIDTH = 38
#: A goal that is no farther from the end of a bar would stand in the way of its number.
_NEAR = 0.1


def by_workload(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The shares of speed for each workload, in order.

    A result says which it is in its details (`workload`), in `what`, or in its name
    (speed.WORKLOAD.CONDITION).
    """
    found: dict[str, list[Result]] = {}
    for result in results:
        kind, *rest = result.name.split(".")
        match = _WHAT.fullmatch(result.what)
        if kind.startswith("speed") and match:
            named = match[1] or (rest[0] if len(rest) > 1 else _WORKLOAD)
            found.setdefault(str(result.details.get("workload", named)), []).append(result)
    return found


def label(result: Result) -> str:
    """What stands at its bar: its condition, and no formulas."""
    match = _WHAT.fullmatch(result.what)
    condition = match[2] if match else result.what
    return textwrap.fill(condition.replace("`", "").replace("$", r"\$"), _WIDTH)


def own(result: Result) -> bool:
    """Whether it is about netio rather than another tool."""
    return result.name.rpartition(".")[2].startswith(_OWN)


def plots(results: Iterable[Result]) -> list[Plot]:
    """A plot for each workload."""
    return [_plot(workload, shares) for workload, shares in by_workload(results).items()]


def _plot(workload: str, results: list[Result]) -> Plot:
    labels = [label(result) for result in results]
    lines = sum(text.count("\n") for text in labels)
    made, (axes,) = canvas.figure(1.2 + 0.32 * len(results) + 0.1 * lines)
    title = f"Share of speed that a process keeps: {workload}"
    bars = list(enumerate(results))
    for name, colour, netio in (("netio", canvas.BLUE, True), ("others", canvas.ORANGE, False)):
        chosen = [(y, each) for y, each in bars if own(each) is netio]
        if chosen:
            axes.barh(
                [y for y, _ in chosen],
                [each.median for _, each in chosen],
                height=0.6,
                color=colour,
                label=name,
                xerr=[
                    [each.median - min(each.values) for _, each in chosen],
                    [max(each.values) - each.median for _, each in chosen],
                ],
                error_kw={"ecolor": "black", "elinewidth": 0.8, "capsize": 2},
            )
    axes.axvline(1.0, color=canvas.GREY, linewidth=0.8, linestyle="--", label="not watched at all")
    goals = [(each.goal.bound, y) for y, each in bars if each.goal is not None]
    if goals:
        style = {"marker": "|", "markersize": 16, "markeredgewidth": 2, "linestyle": "none"}
        axes.plot(*zip(*goals), color=canvas.GOAL, label="goal", **style)
    for y, result in bars:
        axes.annotate(
            number(result.median),
            (end(result), y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_yticks([y for y, _ in bars])
    axes.set_yticklabels(labels)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlim(0, 1.15 * max(1.0, *(max(result.values) for result in results)))
    axes.set_xlabel("share of the speed without a watcher; median, lowest and highest")
    canvas.head(axes, title)
    return Plot(f"speed-{_slug(workload)}", title, canvas.svg(made))


def end(result: Result) -> float:
    """Where a bar ends, with all that is drawn there."""
    highest = max(result.values)
    bound = 0.0 if result.goal is None else result.goal.bound
    return max(highest, bound) if bound < highest + _NEAR else highest


def _slug(text: str) -> str:
    """Fit for the name of a file and for a link."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
