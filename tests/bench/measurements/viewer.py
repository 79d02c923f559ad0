"""How many lines a second `netioctl watch` can print."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from typing import Any

from tests.bench.context import Context
from tests.bench.daemon import Daemon
from tests.bench.measurements import memory
from tests.bench.results import Result, at_least, at_most
from tests.bench.running import BenchError, cpu_seconds, distinct
from tests.bench.workload import UdpPairs

HOW = """\
The workload makes events at a rate that the viewer can keep, and `netioctl watch --count N`
with its output to /dev/null ends by itself after so many; had any been lost, it would not.
Events divided by the CPU seconds of its process from the first event to its end: lines a
second on one core of its own. Memory: the highest PSS of one `netioctl watch --json` of many looks
while it is given events at the same rate; see `memory`."""

#: Events a second, to begin with; half of that where the viewer cannot keep it.
_RATE = 200_000
#: Part of a run's events after which the viewer is to end.
_PART = 0.9
#: Seconds that it may take for what it has not printed when the traffic ends.
_BACKLOG = 10.0


def take(context: Context) -> list[Result]:
    """Lines a second, as JSON objects and as text."""
    results = []
    with context.udp_pairs() as workload, context.daemon() as daemon:
        for name, what, options, goal in (
            ("json", "JSON", ("--json",), at_least(600_000)),
            ("text", "text", ("--no-summary",), at_least(400_000)),
        ):
            context.progress.say(what)
            rates, speeds = [], []
            for _ in context.repeat():
                rate, speed = _speed(context, daemon, workload, options)
                rates.append(rate)
                speeds.append(speed)
            results.append(
                Result(
                    f"viewer.{name}",
                    f"viewer, {what} lines a second of its CPU",
                    "lines/s",
                    tuple(speeds),
                    goal,
                    {"events_per_second": statistics.median(rates)},
                )
            )
        results.append(_memory(context, daemon, workload))
    return results


def _memory(context: Context, daemon: Daemon, workload: UdpPairs) -> Result:
    taken = memory.Taken()
    context.progress.say("memory")
    for _ in context.repeat():
        with daemon.viewer("--json", workload.pid) as process:
            pids = [process.pid]
            taken.add(memory.highest(pids, workload, context.long, _RATE), distinct(pids))
    return taken.result("viewer.memory", "memory (PSS) of one viewer at work", at_most(35))


def _speed(
    context: Context, daemon: Daemon, workload: UdpPairs, options: tuple[str, ...]
) -> tuple[int, float]:
    """(events a second that it was given, lines a second of its CPU time)."""
    rate = _RATE
    while rate >= 1000:
        count = int(rate * context.long * _PART)
        with daemon.viewer(*options, "--count", count, workload.pid) as process:
            before = cpu_seconds([process.pid])
            workload.run(context.long, rate)
            used = _cpu_at_end(process)
        if used is not None:
            return rate, count / (used - before)
        rate //= 2
    raise BenchError(f"netioctl watch {' '.join(options)} loses events at {rate:,} a second")


def _cpu_at_end(process: subprocess.Popen[Any]) -> float | None:
    """CPU seconds that a process has used in its life; None if it does not end in time."""
    deadline = time.monotonic() + _BACKLOG
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            # Popen does not see that somebody else has waited for its child.
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                assert process.stderr is not None
                raise BenchError(f"netioctl watch failed: {process.stderr.read().decode()}")
            return usage.ru_utime + usage.ru_stime
        time.sleep(0.01)
    return None
