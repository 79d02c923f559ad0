"""A figure in the style of all plots, and its SVG."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure

#: Colours that people with any colour vision can tell apart (Okabe and Ito).
BLUE, ORANGE, GREY, GOAL = "#0072b2", "#e69f00", "#888888", "#d55e00"
#: The same results are to give the same file: no random ids, no date. Text as text,
#: a third of the size of outlines; Verdana is as wide. A white face, because pages may be dark.
_STYLE = {
    "svg.hashsalt": "netio",
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.fontsize": 8,
    "legend.columnspacing": 1.2,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.frameon": False,
}
_NO_METADATA = {"Date": None, "Creator": None}


def style() -> AbstractContextManager[None]:
    """What is drawn and written meanwhile has the style of all plots."""
    return cast("AbstractContextManager[None]", matplotlib.rc_context(_STYLE))


def figure(height: float, columns: int = 1) -> tuple[Figure, list[Any]]:
    """A figure of a page's width, and its axes; `height` in inches."""
    made = Figure(figsize=(8, height), constrained_layout=True)
    return made, list(made.subplots(1, columns, squeeze=False)[0])


def head(axes: Any, title: str, *, legend: bool = True) -> None:
    """What stands above the axes: a title, and the legend below it, out of the lines' way."""
    axes.set_title(title, loc="left", pad=22)
    if legend:
        made = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=4, borderpad=0)
        # It may be wider than its axes.
        made.set_in_layout(False)


def rule(axes: Any) -> None:
    """Lines to read values by."""
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)


def svg(made: Figure) -> str:
    """A figure as the text of a file."""
    into = io.StringIO()
    made.savefig(into, format="svg", metadata=_NO_METADATA)
    lines = into.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"
