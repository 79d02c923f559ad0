"""How much memory the daemon takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

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
    idle, busy = Taken(), Taken()
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


class Taken:
    """What was found: bytes as PSS, and of distinct pages."""

    def __init__(self) -> None:
        self._pss: list[float] = []
        self._distinct: list[float] = []

    def add(self, proportional: int, whole: int) -> None:
        """One repetition."""
        self._pss.append(proportional / _MB)
        self._distinct.append(whole / _MB)

    def result(self, name: str, what: str, goal: Goal | None) -> Result:
        """All repetitions."""
        details = {"distinct_mb": statistics.median(self._distinct)}
        return Result(name, what, "MB", tuple(self._pss), goal, details)


def _at_full_speed(daemon: Daemon, workload: UdpPairs, seconds: float, into: Taken) -> None:
    with daemon.light_viewers(workload.pid, VIEWERS):
        pids = daemon.pids()
        into.add(highest(pids, workload, seconds), distinct(pids))


def highest(pids: Sequence[int], workload: UdpPairs, seconds: float, rate: int = 0) -> int:
    """Bytes: the highest PSS of processes together while a workload runs."""
    most = 0
    workload.begin(seconds, rate)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, pss(pids))
        time.sleep(_EVERY)
    workload.finish()
    return most
