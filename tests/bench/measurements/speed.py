"""Which share of its speed a process keeps."""

from __future__ import annotations

import statistics
import time

from tests.bench.conditions import CONDITIONS, Condition
from tests.bench.context import SETTLE, Context, rotated
from tests.bench.daemon import Losses
from tests.bench.results import Result
from tests.bench.workload import Run, UdpPairs

HOW = """\
One process of the workload runs all the time, alternately with no daemon at all (A) and under
one of the conditions (B): A B A B … A. A share is B divided by the mean of the A before and the
A after it, so that a machine that becomes slower or faster meanwhile does little harm. The speed
of a run is the median of its slices of 0.1 s. The workload is one thread, not bound to a core;
on a machine with two cores the daemon and the viewer compete with it for them, which is in the
share. `share_of_cpu_speed` in the JSON file divides by the workload's CPU time instead, which
leaves the competition for cores out, but not that for caches. "Watched by a viewer that only
counts" is what the kernel and the daemon take by themselves; "added" what the kernel takes for
exact counters. `unwatched` is what every other process on the machine pays."""


class _Taken:
    """What was measured under one condition."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.cpu_shares: list[float] = []
        self.rates: list[float] = []
        self.losses = Losses(0, 0)

    def add(self, before: Run, during: Run, after: Run) -> None:
        """A B A."""
        self.shares.append(2 * during.rate / (before.rate + after.rate))
        self.cpu_shares.append(2 * during.rate_on_cpu / (before.rate_on_cpu + after.rate_on_cpu))
        self.rates.append(during.rate)


def take(context: Context) -> list[Result]:
    """Shares, and the speed without a daemon that they refer to."""
    taken = {condition.name: _Taken() for condition in CONDITIONS}
    with context.udp_pairs() as workload:
        workload.run(context.seconds)
        before = _alone(context, workload)
        alone = [before.rate]
        for number in context.repeat():
            for condition in rotated(CONDITIONS, number):
                into = taken[condition.name]
                during = _under(context, workload, condition, into)
                after = _alone(context, workload)
                into.add(before, during, after)
                alone.append(after.rate)
                before = after
    return [
        *(_result(condition, taken[condition.name]) for condition in CONDITIONS),
        Result("speed.alone", f"speed without netio ({UdpPairs.name})", "ops/s", tuple(alone)),
    ]


def _alone(context: Context, workload: UdpPairs) -> Run:
    time.sleep(SETTLE)
    return workload.run(context.seconds)


def _under(context: Context, workload: UdpPairs, condition: Condition, into: _Taken) -> Run:
    with condition.apply(context, workload.pid) as losses:
        time.sleep(SETTLE)
        run = workload.run(context.seconds)
        lost = losses()
    into.losses = Losses(into.losses.kernel + lost.kernel, into.losses.daemon + lost.daemon)
    return run


def _result(condition: Condition, taken: _Taken) -> Result:
    return Result(
        f"speed.{condition.name}",
        f"share of speed kept, {condition.what}",
        "share",
        tuple(taken.shares),
        condition.goal,
        {
            "operations_per_second": statistics.median(taken.rates),
            "share_of_cpu_speed": statistics.median(taken.cpu_shares),
            "lost_in_kernel": taken.losses.kernel,
            "lost_in_daemon": taken.losses.daemon,
        },
    )
