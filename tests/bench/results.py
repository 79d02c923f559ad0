"""Results: what was measured, how often, and whether that is good enough."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Goal:
    """A bound on the median. `at_least` false: at most."""

    bound: float
    at_least: bool

    def met_by(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_least(bound: float) -> Goal:
    """More is better."""
    return Goal(bound, True)


def at_most(bound: float) -> Goal:
    """Less is better."""
    return Goal(bound, False)


@dataclass(frozen=True)
class Result:
    """One number of the table: `values` are its repetitions, in `unit`.

    `details` is for the JSON file: numbers that explain this one.
    """

    name: str
    what: str
    unit: str
    values: tuple[float, ...]
    goal: Goal | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The result."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None else self.goal.met_by(self.median)

    def as_json(self) -> dict[str, Any]:
        """The result as the JSON file has it."""
        goal = self.goal and {
            "bound": self.goal.bound,
            "better": "more" if self.goal.at_least else "less",
        }
        return {
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "median": rounded(self.median),
            "lowest": rounded(min(self.values)),
            "highest": rounded(max(self.values)),
            "values": [rounded(value) for value in self.values],
            "goal": goal,
            "met": self.met,
            "details": {key: _plain(value) for key, value in self.details.items()},
        }


def percentile(ordered: Sequence[float], at: float) -> float:
    """The smallest of the values, which are in ascending order, that `at` percent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * at / 100) - 1)]


class Skipped(NamedTuple):
    """What this machine cannot measure, and why."""

    name: str
    what: str
    why: str


def rounded(value: float) -> float | int:
    """Five significant digits; whole numbers stay as they are."""
    return value if isinstance(value, int) else float(f"{value:.5g}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return rounded(value) if isinstance(value, float) else value
