"""Which results a plot is made of, and that the same ones make the same file.

Run by test_bench_plots.py.
"""

from __future__ import annotations

import pytest

from tests.bench import plots
from tests.bench.results import Goal, Result, at_least, at_most


def share(name: str, what: str = "share of speed kept, watched", **details: str) -> Result:
    return Result(name, what, "share", (0.8, 0.7, 0.9), at_least(0.75), details)


PERCENTILES = {"percentiles": {"0": 0.1, "50": 2.5, "99": 5.0, "100": 9.0}}
COST = {"cost": {"1": [280.0, 300.0], "1000": [310.0, 400.0]}}
RESULTS = (
    Result("start", "netiod, start to ready", "s", (0.4,), at_most(0.6)),
    share("speed.watched"),
    Result("speed.alone", "speed without netio", "ops/s", (800_000.0,)),
    share("speed.delivered-x", "share of events delivered, x"),
    share("speed-tcp.strace", "tcp (1 KiB): share of speed kept, `strace -p $PID`, and $2"),
    Result("latency.p50", "median", "ms", (2.5,), at_most(10), PERCENTILES),
    Result("latency.p99", "99th", "ms", (5.0,), at_most(30), PERCENTILES),
    Result("growth.processes.daemon", "CPU", "share", (1.1,), at_most(1.15), COST),
    Result("growth.processes.hooks", "run time", "share", (1.0,), at_most(1.15), COST),
)


def test_a_plot_a_workload_and_only_for_what_was_measured() -> None:
    drawn = plots.draw(RESULTS)
    assert [plot.name for plot in drawn] == [
        "speed-udp-pairs",
        "speed-tcp-1-kib",
        "latency",
        "growth",
    ]
    assert plots.draw(RESULTS[:1]) == []


def test_the_same_results_give_the_same_files() -> None:
    first, second = plots.draw(RESULTS), plots.draw(RESULTS)
    assert first == second
    for plot in first:
        assert "<svg" in plot.svg
        assert "dc:date" not in plot.svg


def test_a_bar_without_a_goal() -> None:
    result = Result("speed.added", "share of speed kept, added", "share", (0.8,))
    assert [plot.name for plot in plots.draw([result])] == ["speed-udp-pairs"]


@pytest.mark.parametrize(
    ("result", "workload"),
    [
        (share("speed.watched"), "udp-pairs"),
        (share("speed.tcp.watched"), "tcp"),
        (share("speed.watched", workload="unix"), "unix"),
        (share("speed.tcp.watched", workload="unix"), "unix"),
        (share("speed-tcp.watched", "tcp: share of speed kept, watched"), "tcp"),
    ],
)
def test_a_result_says_its_workload(result: Result, workload: str) -> None:
    from tests.bench.plots import speed

    assert list(speed.by_workload([result])) == [workload]


def test_only_shares_of_speed_are_bars() -> None:
    from tests.bench.plots import speed

    results = (RESULTS[0], RESULTS[2], RESULTS[3], share("growth.processes.daemon"))
    assert speed.by_workload(results) == {}


def test_a_bar_is_called_after_its_condition() -> None:
    from tests.bench.plots import speed

    assert speed.label(RESULTS[1]) == "watched"
    assert speed.label(RESULTS[4]) == r"strace -p \$PID, and \$2"
    assert speed.own(RESULTS[1])
    assert not speed.own(RESULTS[4])


def test_each_nine_takes_as_much_room() -> None:
    from tests.bench.plots import latency

    assert latency.position(0) == 0
    assert latency.position(99) == pytest.approx(2 * latency.position(90))
    assert latency.position(100) == latency.position(99.97) > latency.position(99.9)


def test_a_number_stands_clear_of_a_goal_that_is_near() -> None:
    from tests.bench.plots import speed

    for bound, end in ((0.75, 0.9), (0.95, 0.95), (1.5, 0.9)):
        result = Result("speed.x", "x", "share", (0.8, 0.9), Goal(bound, True))
        assert speed.end(result) == end
