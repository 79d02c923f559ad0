"""Whether an event costs more where many processes are watched, or many connections are open."""

from __future__ import annotations

import statistics
from typing import NamedTuple

from tests.bench import hooks
from tests.bench.context import Context, rotated
from tests.bench.measurements.delivery import Delivery, deliver
from tests.bench.results import Result, at_most

#: Events a second, far fewer than can be made: so all numbers of processes make as many.
_RATE = 100_000
#: Processes of the workload where connections are many: a process may not open all of them
#: everywhere, because of its limit of descriptors.
_OWNERS = 5
#: Seconds in which each connection is used at least once before anything counts.
_WARM_UP = 1.5

HOW = f"""\
{_RATE:,} events a second, made by 1 up to 1,000 processes, then by {_OWNERS} processes on 10 up to
50,000 connections (two a pair of sockets). One viewer that only counts watches all of them, for two
and a half runs' time. Time is divided into turns of a millisecond: the next process makes all that
is due in it, on its next connections. So traffic has the same rate and the same portions, whatever
the number. Each connection was used before that, so that what is done once for a new one does not
count. A result is what an event costs with the largest number, divided by what it costs with the
smallest. "Daemon" is its CPU time, as in `cpu`. "Hooks" is the time that netio's BPF programs ran,
which the kernel takes (BPF_ENABLE_STATS): what the workload's own calls take longer with many
sockets is not in that. `cost` in the JSON file has nanoseconds an event for each number."""


class _Size(NamedTuple):
    """`number` is what the size is called after."""

    number: int
    processes: int
    pairs: int


class _Series(NamedTuple):
    name: str
    what: str
    sizes: tuple[_Size, ...]


SERIES = (
    _Series("processes", "processes watched", tuple(_Size(n, n, 1) for n in (1, 32, 1000))),
    _Series(
        "connections",
        "connections",
        tuple(_Size(n, _OWNERS, n // (2 * _OWNERS)) for n in (10, 700, 50_000)),
    ),
)


def take(context: Context) -> list[Result]:
    """What an event costs with many, by what it costs with few."""
    runs: dict[tuple[str, int], list[Delivery]] = {}
    cases = [(series.name, size) for series in SERIES for size in series.sizes]
    with hooks.timed():
        for number in context.repeat():
            for name, size in rotated(cases, number):
                runs.setdefault((name, size.number), []).append(_run(context, size))
    results = []
    for series in SERIES:
        taken = {size.number: runs[series.name, size.number] for size in series.sizes}
        results.append(_result(series, "daemon", "CPU of the daemon", taken))
        results.append(_result(series, "hooks", "run time of the hooks", taken))
    return results


def _run(context: Context, size: _Size) -> Delivery:
    with context.udp_many(size.processes, size.pairs) as workload, context.daemon() as daemon:
        pids = workload.pids
        seconds = context.long / 2
        return deliver(daemon, workload, 1, seconds, pids=pids, rate=_RATE, warm_up=_WARM_UP)


def _result(series: _Series, part: str, what: str, taken: dict[int, list[Delivery]]) -> Result:
    cost = {
        number: [(run.cpu if part == "daemon" else run.hooks) / run.published * 1e9 for run in runs]
        for number, runs in taken.items()
    }
    fewest, most = min(cost), max(cost)
    return Result(
        f"growth.{series.name}.{part}",
        f"{what} an event, {most:,} {series.what} by {fewest:,}",
        "share",
        tuple(many / few for few, many in zip(cost[fewest], cost[most])),
        at_most(1.15),
        {
            "cost": {str(number): values for number, values in cost.items()},
            "events_missed": sum(run.missed for runs in taken.values() for run in runs),
            "viewer_cpu_a_million": {
                str(number): statistics.median(
                    run.viewer_cpu / run.operations * 1e6 for run in runs
                )
                for number, runs in taken.items()
            },
        },
    )
