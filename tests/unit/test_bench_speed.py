"""The benchmark's speeds: which conditions, shares and skips; nothing is measured here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import plans, report
from tests.bench.context import Context, Progress
from tests.bench.measurements import MEASUREMENTS, comparison, speed
from tests.bench.plans import Plan
from tests.bench.results import Skipped
from tests.bench.running import BenchError, Unavailable
from tests.bench.taken import Taken
from tests.bench.watcher import Condition, Seen, Watcher
from tests.bench.workload import Run


def run_of(operations: int) -> Run:
    return Run(((operations, 1.0, 0.5),))


class FakeWorkload:
    name, what, unit, pid = "fake", "a workload that does nothing", "ops/s", 1

    def run(self, seconds: float) -> Run:  # noqa: ARG002
        return run_of(100)


@contextlib.contextmanager
def fake_workload(_scratch: Path) -> Iterator[FakeWorkload]:
    yield FakeWorkload()


@contextlib.contextmanager
def missing_workload(_scratch: Path) -> Iterator[FakeWorkload]:
    raise Unavailable("wrk is not installed")
    yield FakeWorkload()


@contextlib.contextmanager
def idle(_context: Context, _pid: int) -> Iterator[Watcher]:
    yield Watcher(())


@contextlib.contextmanager
def forbidden(_context: Context, _pid: int) -> Iterator[Watcher]:
    raise Unavailable("no kprobes")
    yield Watcher(())


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return Context(2, 0.1, tmp_path, Progress())


def test_what_cannot_run_is_skipped_once_with_its_reason(context: Context) -> None:
    conditions = (Condition("idle", "idle", idle), Condition("kprobes", "by kprobes", forbidden))
    plan = Plan("speed-fake", "speeds", "", fake_workload, conditions)
    results = speed.take(plan, context)
    assert [result.name for result in results] == ["speed-fake.idle", "speed-fake.alone"]
    assert results[0].values == (1.0, 1.0)
    what = "fake: share of speed kept, by kprobes"
    assert context.skipped == [Skipped("speed-fake.kprobes", what, "no kprobes")]


def test_a_workload_that_is_missing_is_skipped(context: Context) -> None:
    plan = Plan("speed-fake", "speeds", "", missing_workload, (Condition("idle", "idle", idle),))
    assert speed.take(plan, context) == []
    assert context.skipped == [Skipped("speed-fake", "speeds", "wrk is not installed")]


def test_what_goes_wrong_otherwise_is_an_error(context: Context) -> None:
    @contextlib.contextmanager
    def broken(_context: Context, _pid: int) -> Iterator[Watcher]:
        raise BenchError("netiod ended")
        yield Watcher(())

    plan = Plan("speed-fake", "speeds", "", fake_workload, (Condition("b", "b", broken),))
    with pytest.raises(BenchError, match="netiod ended"):
        speed.take(plan, context)


def test_the_worst_case_has_all_conditions() -> None:
    names = [condition.name for condition in plans.PLANS[0].conditions]
    assert len(names) == len(set(names))
    tools = {"bpftrace-count", "bpftrace-lines", "strace", "perf-trace", "tcptop", "nethogs"}
    assert {"empty", "bare", "bcc-ring", "bcc-perf", *tools} <= set(names)


@pytest.mark.parametrize("plan", plans.PLANS, ids=lambda plan: plan.name)
def test_goals_are_of_conditions_that_are_measured(plan: Plan) -> None:
    names = {condition.name for condition in plan.conditions}
    assert set(plan.goals) <= names
    # The default hooks system calls on some kernels: goals are those of the tracepoints alone.
    assert all(name.endswith("no-splice") for name in plan.goals)
    assert plan.how
    assert plan.name in {measurement.name for measurement in MEASUREMENTS}


def test_an_unknown_condition_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        plans.named("watched", "wacthed")


def taken(share: int, *seen: Seen, cpu: float = 1.0) -> Taken:
    found = Taken()
    for each in seen:
        found.add(run_of(100), run_of(share), run_of(100))
        found.watched(cpu, each)
    return found


def test_a_share_is_of_its_neighbours() -> None:
    found = Taken()
    found.add(run_of(90), run_of(50), run_of(110))
    assert found.shares == [0.5]


def test_what_a_watcher_tells() -> None:
    found = taken(50, Seen(1_000_000, 1_000_000, None), Seen(500_000, 0, None), cpu=2.0)
    assert found.cpu_a_million_events() == [2.0, 4.0]
    assert found.delivered() == [0.5, 1.0]
    told = found.a_million_operations()
    assert set(told) == {"watcher_cpu", "events", "lost_in_kernel"}
    assert told["watcher_cpu"] == 4.0 / 100e-6


def test_a_watcher_that_tells_nothing() -> None:
    found = taken(50, Seen())
    assert found.cpu_a_million_events() == []
    assert found.delivered() == []
    assert set(found.a_million_operations()) == {"watcher_cpu"}


def test_seen_since() -> None:
    assert Seen(5, 3, None).since(Seen(2, 3, None)) == Seen(3, 0, None)


def test_netio_beside_the_floor_and_a_script() -> None:
    found = {
        "watched-no-splice": taken(80, Seen()),
        "bare": taken(90, Seen()),
        "watched-light": taken(80, Seen(1_000_000, 0, 0), cpu=0.04),
        "bcc-ring": taken(80, Seen(1_000_000, 0), cpu=1.6),
    }
    results = {result.name: result for result in comparison.results(plans.PLANS[0], "udp", found)}
    assert results["speed.watched-of-bare"].median == pytest.approx(8 / 9)
    assert results["speed.watched-of-bare"].met is False
    assert results["speed.cpu-bcc-ring-of-netio"].median == pytest.approx(40)
    assert results["speed.cpu-bcc-ring-of-netio"].met is True
    assert "speed.unwatched-of-empty" not in results


def test_beside_other_workloads_there_is_no_goal() -> None:
    found = {
        "bare": taken(90, Seen()),
        "watched": taken(80, Seen(1_000_000, 0, 0), cpu=0.1),
        "watched-no-splice": taken(80, Seen()),
        "bcc-ring": taken(80, Seen(1_000_000, 0), cpu=1.6),
    }
    results = comparison.results(plans.PLANS[1], "tcp", found)
    names = ["speed-tcp.cpu-bcc-ring", "speed-tcp.cpu-bcc-ring-of-netio"]
    assert [result.name for result in results] == names
    assert [result.met for result in results] == [None, None]
    assert results[1].median == pytest.approx(16)


def test_nothing_is_compared_with_what_was_skipped() -> None:
    found = {"watched-light": taken(80, Seen(1_000_000, 0, 0))}
    assert comparison.results(plans.PLANS[0], "udp", found) == []


def test_skips_are_in_the_table_and_in_the_json() -> None:
    skipped = (Skipped("speed.tcptop", "tcptop", "no kprobes"),)
    found = report.Report({}, {}, (), {}, skipped)
    assert report.table(found).endswith("tcptop: skipped: no kprobes")
    assert found.as_json()["skipped"] == [
        {"name": "speed.tcptop", "what": "tcptop", "why": "no kprobes"}
    ]
    assert report.skips(skipped) == [("tcptop", "-", "skipped: no kprobes", "", "")]
