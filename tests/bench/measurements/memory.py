"""How much memory the daemon takes."""

from __future__ import annotations

import statistics
import time

from tests.bench.context import SETTLE, Context
from tests.bench.daemon import Daemon
from tests.bench.measurements.delivery import VIEWERS
from tests.bench.results import Goal, Result, at_most
from tests.bench.running import distinct, pss
from tests.bench.workload import UdpPairs

HOW = f"""\
PSS of all the daemon's processes together: memory that processes share counts once, divided
among them. Idle: after the start, nothing watched. At full speed: the highest of many looks
while the workload runs and {VIEWERS} viewers that only count watch it. Other Python programs on
the machine, this benchmark and its viewers among them, share the interpreter's pages with the
daemon and so take something off its PSS; `distinct_mb` in the JSON file is the same memory with
every page counted once and in full. The ring of events is in it. MB is 1,048,576 bytes."""

_MB = 1 << 20
#: Seconds between two looks. Each stops the process for about a millisecond.
_EVERY = 0.1


def take(context: Context) -> list[Result]:
    """Memory idle and at full speed."""
    idle, busy = _Taken(), _Taken()
    with context.udp_pairs() as workload:
        for _ in context.repeat():
            with context.daemon() as daemon:
                time.sleep(5 * SETTLE)
                pids = daemon.pids()
                idle.add(pss(pids), distinct(pids))
                _at_full_speed(daemon, workload, context.long, busy)
    what = "daemon memory (PSS)"
    return [
        idle.result("memory.idle", f"{what}, idle", at_most(45)),
        busy.result("memory.busy", f"{what}, full speed, {VIEWERS} viewers", at_most(70)),
    ]


class _Taken:
    def __init__(self) -> None:
        self._pss: list[float] = []
        self._distinct: list[float] = []

    def add(self, proportional: int, whole: int) -> None:
        self._pss.append(proportional / _MB)
        self._distinct.append(whole / _MB)

    def result(self, name: str, what: str, goal: Goal | None) -> Result:
        details = {"distinct_mb": statistics.median(self._distinct)}
        return Result(name, what, "MB", tuple(self._pss), goal, details)


def _at_full_speed(daemon: Daemon, workload: UdpPairs, seconds: float, into: _Taken) -> None:
    with daemon.light_viewers(workload.pid, VIEWERS):
        pids = daemon.pids()
        highest = 0
        workload.begin(seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            highest = max(highest, pss(pids))
            time.sleep(_EVERY)
        workload.finish()
        into.add(highest, distinct(pids))
