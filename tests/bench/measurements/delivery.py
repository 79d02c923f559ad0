"""What it costs the daemon to deliver events, and whether all arrive."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.context import SETTLE, Context, rotated
from tests.bench.daemon import Daemon
from tests.bench.results import Result, at_most
from tests.bench.running import cpu_seconds
from tests.bench.workload import UdpPairs

#: Viewers at once where losses are counted.
VIEWERS = 8

CPU = """\
The workload runs at full speed for five runs' time while one viewer that only counts watches
it: it takes every event. CPU time, user and system, of all the daemon's processes together
(supervisor, broker, gate) over that time, divided by the events that the daemon published. What
asking the daemon costs is outside of that time."""
FURTHER = f"""\
As `cpu`, once with one viewer and once with {VIEWERS} of the same process in turn. What {VIEWERS}
viewers cost more than one, divided by {VIEWERS - 1} and by what one costs. Each pair of runs is one
value, and the next pair is taken the other way round."""
LOST = """\
The workload runs at full speed for five runs' time while eight viewers that only count watch
it. Lost in kernel and daemon: what the daemon itself says. Missed by viewers: the operations
that the workload made, for each viewer, less the events that this viewer got, so nothing can
hide; `missed_untold` in the JSON file is how many of them no viewer was told of, which must be 0.
Eight viewers that print every line would need more cores than small machines have."""


@dataclass(frozen=True)
class Delivery:
    """What it took to deliver a run: seconds of CPU and of time, and numbers of events."""

    operations: int
    published: int
    cpu: float
    seconds: float
    lost_kernel: int
    lost_daemon: int
    #: Over all viewers: events that they did not get, and those of them that they knew of.
    missed: int
    told: int
    viewer_cpu: float
    #: Seconds that the hooks ran, in whichever process; 0 where the kernel does not time them.
    hooks: float

    @property
    def cpu_a_million(self) -> float:
        """CPU seconds of the daemon a million events."""
        return self.cpu / self.published * 1e6

    @property
    def share_of_a_core(self) -> float:
        """CPU seconds of the daemon a second."""
        return self.cpu / self.seconds


def cpu(context: Context) -> list[Result]:
    """CPU seconds a million events, with one viewer."""
    runs = _deliveries(context, 1, context.long)
    return [
        Result(
            "cpu.one-viewer",
            "daemon CPU a million events, one viewer",
            "s",
            tuple(run.cpu_a_million for run in runs),
            at_most(0.10),
            _details(runs),
        )
    ]


def lost(context: Context) -> list[Result]:
    """Events that did not arrive, and what the daemon costs with so many viewers."""
    runs = _deliveries(context, VIEWERS, context.long)
    return [
        Result(
            "lost.daemon",
            f"events lost in kernel and daemon, {VIEWERS} viewers",
            "events",
            tuple(run.lost_kernel + run.lost_daemon for run in runs),
            at_most(0),
            {
                "in_kernel": [run.lost_kernel for run in runs],
                "in_daemon": [run.lost_daemon for run in runs],
                "events": [run.operations for run in runs],
            },
        ),
        Result(
            "lost.viewers",
            f"events that {VIEWERS} viewers missed, together",
            "events",
            tuple(run.missed for run in runs),
            at_most(0),
            {"missed_untold": [run.missed - run.told for run in runs]},
        ),
        Result(
            "cpu.many-viewers",
            f"daemon CPU a million events, {VIEWERS} viewers",
            "s",
            tuple(run.cpu_a_million for run in runs),
            None,
            _details(runs),
        ),
        Result(
            "cpu.many-viewers-share",
            f"daemon's share of a core at full speed, {VIEWERS} viewers",
            "share",
            tuple(run.share_of_a_core for run in runs),
            at_most(0.15),
        ),
    ]


def further(context: Context) -> list[Result]:
    """What each further viewer costs, as a share of what the first does."""
    costs: dict[int, list[float]] = {1: [], VIEWERS: []}
    with context.udp_pairs() as workload:
        for number in context.repeat():
            for viewers in rotated(costs, number):
                with context.daemon() as daemon:
                    run = deliver(daemon, workload, viewers, context.long)
                costs[viewers].append(run.cpu_a_million)
    return [
        Result(
            "cpu.further-viewer",
            "daemon CPU of each further viewer, by that of the first",
            "share",
            tuple(
                (many - one) / (VIEWERS - 1) / one for one, many in zip(costs[1], costs[VIEWERS])
            ),
            at_most(0.15),
            {"one_viewer_s": costs[1], "many_viewers_s": costs[VIEWERS]},
        )
    ]


def _deliveries(context: Context, viewers: int, seconds: float) -> list[Delivery]:
    with context.udp_pairs() as workload:
        runs = []
        for _ in context.repeat():
            with context.daemon() as daemon:
                runs.append(deliver(daemon, workload, viewers, seconds))
        return runs


def deliver(
    daemon: Daemon,
    workload: UdpPairs,
    count: int,
    seconds: float,
    *,
    pids: Sequence[int] = (),
    rate: int = 0,
    warm_up: float = 0.0,
) -> Delivery:
    """Run a workload for so many seconds, watched by so many light viewers.

    `pids`: its processes, where it has several; `rate` as run() takes it; `warm_up`: seconds of
    the same before that, of which nothing counts.
    """
    with daemon.light_viewers(pids or workload.pid, count) as viewers:
        early = workload.run(warm_up, rate).operations if warm_up else 0
        time.sleep(SETTLE)
        before = daemon.status()
        own = [process["pid"] for process in before["processes"]]
        time.sleep(SETTLE)
        begin, cpu_before = time.monotonic(), cpu_seconds(own)
        run = workload.run(seconds, rate)
        # The last batch: it waits for 5 ms, or until there is a core for it.
        time.sleep(SETTLE)
        used, lasted = cpu_seconds(own) - cpu_before, time.monotonic() - begin
        after = daemon.status()
        for viewer in viewers:
            viewer.ask()
        counts = [viewer.counted() for viewer in viewers]
    return Delivery(
        operations=run.operations,
        published=after["events"] - before["events"],
        cpu=used,
        seconds=lasted,
        lost_kernel=after["lost"]["kernel"] - before["lost"]["kernel"],
        lost_daemon=after["lost"]["daemon"] - before["lost"]["daemon"],
        missed=sum(early + run.operations - counted.events for counted in counts),
        told=sum(counted.missed + counted.kernel for counted in counts),
        viewer_cpu=sum(counted.cpu for counted in counts) / count,
        hooks=_run_time(after) - _run_time(before),
    )


def _run_time(status: dict[str, Any]) -> float:
    return sum(program["run_time_ns"] or 0 for program in status["bpf"]) / 1e9


def _details(runs: list[Delivery]) -> dict[str, float]:
    return {
        "events_per_second": statistics.median(run.published / run.seconds for run in runs),
        "share_of_a_core": statistics.median(run.share_of_a_core for run in runs),
        "viewer_cpu_a_million": statistics.median(
            run.viewer_cpu / run.operations * 1e6 for run in runs
        ),
    }
