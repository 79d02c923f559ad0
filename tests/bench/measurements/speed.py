"""Which share of its speed a process keeps."""

from __future__ import annotations

import statistics
import time
from typing import Any

from tests.bench.context import SETTLE, Context, rotated
from tests.bench.measurements import comparison
from tests.bench.plans import Plan
from tests.bench.results import Result
from tests.bench.running import Unavailable, cpu_at_rest, cpu_seconds
from tests.bench.taken import Taken
from tests.bench.watcher import Condition
from tests.bench.workload import Run, Workload


def take(plan: Plan, context: Context) -> list[Result]:
    """Shares, and the speed without a watcher that they refer to."""
    taken = {condition.name: Taken() for condition in plan.conditions}
    skipped: dict[str, str] = {}
    try:
        with plan.workload(context.scratch) as workload:
            alone = _alternate(plan, context, workload, taken, skipped)
    except Unavailable as why:
        context.skip(plan.name, plan.what, str(why))
        return []
    for condition in plan.conditions:
        if condition.name in skipped:
            name, what = f"{plan.name}.{condition.name}", _what(condition, workload)
            context.skip(name, what, skipped[condition.name])
            del taken[condition.name]
    return [
        *(
            _result(plan, condition, taken[condition.name], workload)
            for condition in plan.conditions
            if condition.name in taken
        ),
        *comparison.results(plan, workload.name, taken),
        Result(
            f"{plan.name}.alone", f"{workload.name}: speed without a watcher", workload.unit, alone
        ),
    ]


def _alternate(
    plan: Plan,
    context: Context,
    workload: Workload,
    taken: dict[str, Taken],
    skipped: dict[str, str],
) -> tuple[float, ...]:
    """A B A B ... A: the speeds of A. What cannot run is tried once and added to `skipped`."""
    workload.run(context.seconds)
    before = _alone(context, workload)
    alone = [before.rate]
    for number in context.repeat():
        for condition in rotated(plan.conditions, number):
            if condition.name in skipped:
                continue
            try:
                during = _under(context, workload, condition, taken[condition.name])
            except Unavailable as why:
                skipped[condition.name] = str(why)
                continue
            after = _alone(context, workload)
            taken[condition.name].add(before, during, after)
            alone.append(after.rate)
            before = after
    return tuple(alone)


def _alone(context: Context, workload: Workload) -> Run:
    time.sleep(SETTLE)
    return workload.run(context.seconds)


def _under(context: Context, workload: Workload, condition: Condition, into: Taken) -> Run:
    with condition.apply(context, workload.pid) as watcher:
        before = watcher.seen()
        time.sleep(SETTLE)
        cpu = cpu_seconds(watcher.pids)
        run = workload.run(context.seconds)
        # What still waits in a buffer is part of the work.
        cpu = cpu_at_rest(watcher.pids) - cpu
        into.watched(cpu, watcher.seen().since(before))
    return run


def _what(condition: Condition, workload: Workload) -> str:
    return f"{workload.name}: share of speed kept, {condition.what}"


def _result(plan: Plan, condition: Condition, taken: Taken, workload: Workload) -> Result:
    details: dict[str, Any] = {
        "operations_per_second": statistics.median(taken.rates),
        "share_of_cpu_speed": statistics.median(taken.cpu_shares),
        **taken.a_million_operations(),
    }
    return Result(
        f"{plan.name}.{condition.name}",
        _what(condition, workload),
        "share",
        tuple(taken.shares),
        plan.goals.get(condition.name),
        details,
    )
