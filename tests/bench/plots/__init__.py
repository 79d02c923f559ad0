"""Plots of results, as SVG, for docs/BENCHMARKS.md.

speed, latency, growth  one kind of plot each: which results it takes, and what it draws of them
canvas                  what they have in common; the only module that imports matplotlib
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.bench.results import Result


class Plot(NamedTuple):
    """`name`: of its file, without .svg; `title`: what it shows, for those who cannot see it."""

    name: str
    title: str
    svg: str


def draw(results: Iterable[Result]) -> list[Plot]:
    """The plots for which there are results.

    Raises:
        ImportError: matplotlib is missing.
    """
    from tests.bench.plots import canvas, growth, latency, speed

    results = list(results)
    with canvas.style():
        return [*speed.plots(results), *latency.plots(results), *growth.plots(results)]
