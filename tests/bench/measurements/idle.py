"""What a daemon uses while nothing happens."""

from __future__ import annotations

import time

from tests.bench.context import Context
from tests.bench.results import Result, at_most
from tests.bench.running import cpu_seconds

#: Processes that are added, and seconds to look at the daemon, at least.
_PROCESSES, _SECONDS = 100, 10.0
#: Seconds after which all that adding a process brings with it is done: it is looked at once more.
_QUIET = 3.0

HOW = f"""\
{_PROCESSES} processes that do nothing are added, and nobody watches. CPU time, user and system, of
all the daemon's processes together over {_SECONDS:.0f} seconds or more, divided by that time; from
{_QUIET:.0f} seconds after they were added, since each is looked at again a second after that."""


def take(context: Context) -> list[Result]:
    """The daemon's share of a core."""
    shares = []
    with context.udp_many(_PROCESSES, 1) as workload:
        for _ in context.repeat():
            with context.daemon() as daemon:
                daemon.add(*workload.pids)
                pids = daemon.pids()
                time.sleep(_QUIET)
                begin, before = time.monotonic(), cpu_seconds(pids)
                time.sleep(max(_SECONDS, context.long))
                used, lasted = cpu_seconds(pids) - before, time.monotonic() - begin
                shares.append(used / lasted)
    what = f"daemon's share of a core, {_PROCESSES} idle processes added"
    return [Result("idle", what, "share", tuple(shares), at_most(0.001))]
