"""How long it takes until an operation can be read."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time

from tests.bench.context import Context
from tests.bench.results import Result, at_most, percentile
from tests.bench.running import BenchError

#: Events a second.
_RATE = 1000
#: Seconds after the end of the traffic within which the last line must have come.
_PATIENCE = 1.0
#: Percentiles in the JSON file, for the plot.
_PERCENTILES = (0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
_GOALS = {50: at_most(10), 99: at_most(30)}

HOW = f"""\
A process makes {_RATE:,} events a second for five runs' time, watched by `netioctl watch --json`,
whose output is a pipe. From the time of an event, which the kernel took in the system call, to the
moment when its line was read from the pipe. A percentile is that of all events of a repetition;
the plot has those of all repetitions together."""


def take(context: Context) -> list[Result]:
    """Milliseconds at the median and at the 99th percentile."""
    taken = []
    with context.udp_pairs() as workload, context.daemon() as daemon:
        for _ in context.repeat():
            with daemon.viewer("--json", workload.pid, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                workload.begin(context.long, _RATE)
                delays = _delays(process.stdout.fileno(), context.long + _PATIENCE)
                made = workload.finish().operations
            if len(delays) != made:
                raise BenchError(f"{len(delays):,} of {made:,} events were shown in time")
            taken.append(delays)
    together = sorted(delay for delays in taken for delay in delays)
    details = {
        "events": len(together),
        "percentiles": {f"{at:g}": percentile(together, at) for at in _PERCENTILES},
    }
    return [
        Result(
            f"latency.p{at}",
            f"from system call to line on stdout, {at}th percentile",
            "ms",
            tuple(percentile(sorted(delays), at) for delays in taken),
            goal,
            details,
        )
        for at, goal in _GOALS.items()
    ]


def _delays(descriptor: int, seconds: float) -> list[float]:
    """Milliseconds from each event to the read that returned the end of its line."""
    delays: list[float] = []
    rest = b""
    end = time.monotonic() + seconds
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while (left := end - time.monotonic()) > 0:
        if not poll.poll(left * 1000):
            break
        data = os.read(descriptor, 1 << 16)
        # The event's own clock; both are the kernel's.
        now = time.time()
        if not data:
            raise BenchError("netioctl watch ended")
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["type"] == "event":
                delays.append((now - event["time"]) * 1000)
    return delays
