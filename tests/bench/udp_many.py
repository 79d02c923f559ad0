"""The workload of udp_many.c: the same traffic from more processes, on more connections."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.bench.running import running
from tests.bench.workload import UdpPairs

#: Microseconds of a turn: what one process does at once.
_TURN = 1000


class UdpMany(UdpPairs):
    """Each process in turn makes what is due; `pids` are those of the processes. It needs a rate,
    and its Run has one slice."""

    name = "udp-many"
    what = "UDP, as udp-pairs, by several processes in turn, each on several pairs of sockets"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(process)
        self.pids = [int(word) for word in self._line().split()]


@contextlib.contextmanager
def udp_many(programs: Path, processes: int, pairs: int) -> Iterator[UdpMany]:
    """The workload UdpMany, idle: so many processes with so many pairs of sockets each."""
    command = [str(programs / "udp_many"), str(processes), str(pairs), str(_TURN)]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield UdpMany(process)
