"""Percentiles, and what the report for readers shows of plots."""

from __future__ import annotations

import pytest

from tests.bench import markdown
from tests.bench.measurements import MEASUREMENTS
from tests.bench.report import Report
from tests.bench.results import Result, percentile

MACHINE = {
    **dict.fromkeys(("date", "processor", "architecture", "system", "kernel", "netio"), "x"),
    **dict.fromkeys(("backend", "python", "numpy", "pyzmq", "libzmq"), "x"),
    "virtual": True,
    "cores": 2,
    "memory_mb": 1,
    "stolen": 0.0,
    "load_before": 0.1,
    "other_daemons": 0,
    "others": {},
}
SETTINGS = {"repetitions": 5, "seconds": 1.0}


@pytest.mark.parametrize(
    ("at", "value"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (99.9, 100), (100, 100)]
)
def test_percentile(at: float, value: float) -> None:
    assert percentile(range(1, 101), at) == value


def test_percentile_of_one_value() -> None:
    assert [percentile([7], at) for at in (0, 50, 100)] == [7, 7, 7]


def test_names_of_measurements_differ_and_each_says_how() -> None:
    assert len({each.name for each in MEASUREMENTS}) == len(MEASUREMENTS)
    assert all(each.how.endswith(".") for each in MEASUREMENTS)


def test_the_document_has_the_pictures_that_were_drawn() -> None:
    report = Report(MACHINE, SETTINGS, (Result("start", "netiod", "s", (0.4,)),), {})
    figures = [markdown.Figure("benchmarks/latency.svg", "Latency")]
    text = markdown.document(report, MEASUREMENTS, figures)
    assert "\n![Latency](benchmarks/latency.svg)\n" in text
    assert "![" not in markdown.document(report, MEASUREMENTS)
