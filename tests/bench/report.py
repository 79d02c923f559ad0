"""What a benchmark found, for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.results import Result, Skipped


@dataclass(frozen=True)
class Report:
    """`settings`: repetitions and seconds; `failures`: what could not be measured, and why."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    results: tuple[Result, ...]
    failures: dict[str, str]
    skipped: tuple[Skipped, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The object of the JSON file."""
        return {
            "machine": self.machine,
            "settings": self.settings,
            "results": [result.as_json() for result in self.results],
            "skipped": [each._asdict() for each in self.skipped],
            "failures": self.failures,
        }


#: Heads of the columns of rows().
HEADS = ("what", "goal", "result", "spread", "")


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """A row of words for each result."""
    return [
        (result.what, goal(result), _with_unit(result), spread(result), verdict(result))
        for result in results
    ]


def skips(skipped: Sequence[Skipped]) -> list[tuple[str, ...]]:
    """A row of words for each that was skipped: the reason stands in place of the result."""
    return [(each.what, "-", f"skipped: {each.why}", "", "") for each in skipped]


def table(report: Report) -> str:
    """The table for a terminal: 80 columns."""
    body = [HEADS, *rows(report.results)]
    widths = [max(len(row[i]) for row in body) for i in range(len(HEADS))]
    lines = []
    for row in body:
        what, *rest = (word.ljust(width) for word, width in zip(row, widths))
        # What does not fit stands above its numbers.
        if sum(widths) + 2 * len(widths) - 2 > 80:
            lines.append(row[0])
            what = "   "
        lines.append("  ".join((what, *rest)).rstrip())
    lines += [f"{what}: {why}" for what, _, why, *_ in skips(report.skipped)]
    lines += [f"not measured: {name}: {why}" for name, why in report.failures.items()]
    return "\n".join(lines)


def goal(result: Result) -> str:
    """A goal in words."""
    if result.goal is None:
        return "-"
    return f"{'>=' if result.goal.at_least else '<='} {result.goal.bound:,.6g}"


def spread(result: Result) -> str:
    """The lowest and the highest value."""
    return f"{number(min(result.values))} .. {number(max(result.values))}"


def verdict(result: Result) -> str:
    """Whether the goal is met, in words."""
    return {True: "pass", False: "falls short", None: ""}[result.met]


def number(value: float) -> str:
    """Three significant digits, or all before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _with_unit(result: Result) -> str:
    # A share needs no unit.
    unit = "" if result.unit == "share" else f" {result.unit}"
    return number(result.median) + unit
