"""Workloads: processes that make traffic on loopback for a while and say how much it was."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.bench.running import BenchError, running

#: Seconds of a slice: a rate is the median of slices, so that one disturbance does no harm.
SLICE = 0.1
P = TypeVar("P", bound="SlicedProgram")


@dataclass(frozen=True)
class Run:
    """What a workload did. Each slice: (operations, seconds, CPU seconds of the workload)."""

    slices: tuple[tuple[int, float, float], ...]

    @property
    def operations(self) -> int:
        """Operations, which are events where the workload is watched."""
        return sum(operations for operations, _, _ in self.slices)

    @property
    def rate(self) -> float:
        """Operations a second."""
        return statistics.median(operations / wall for operations, wall, _ in self.slices)

    @property
    def rate_on_cpu(self) -> float:
        """Operations a second of the workload's own CPU time: without waiting for a core."""
        return statistics.median(operations / cpu for operations, _, cpu in self.slices)


class Workload(Protocol):
    """What the speed of a process is taken of: process `pid` is the one that is watched."""

    name: str
    what: str
    #: Of its speed.
    unit: str
    pid: int

    def run(self, seconds: float) -> Run:
        """Make traffic for so long, as fast as possible."""


class SlicedProgram:
    """A program that makes traffic, told what to do through pipes: see slices.h."""

    name = what = ""
    unit = "ops/s"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        self._expect("ready")

    def begin(self, seconds: float, rate: int = 0) -> None:
        """Make traffic for so long, `rate` operations a second; 0: as many as possible."""
        slices = max(1, round(seconds / SLICE))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{slices} {round(SLICE * 1e6)} {rate}\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def finish(self) -> Run:
        """Wait until it has done what was begun."""
        slices = []
        while (line := self._line()) != "end":
            operations, wall, cpu = map(int, line.split())
            slices.append((operations, wall / 1e9, cpu / 1e9))
        return Run(tuple(slices))

    def run(self, seconds: float, rate: int = 0) -> Run:
        """begin() and finish()."""
        self.begin(seconds, rate)
        return self.finish()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: Any = self._process.stdout.readline()
        if not line:
            raise self._gone()
        return str(line).rstrip("\n")

    def _expect(self, text: str) -> None:
        line = self._line()
        if line != text:
            raise BenchError(f"the workload {self.name} says {line!r} instead of {text!r}")

    def _gone(self) -> BenchError:
        return BenchError(f"the workload {self.name} ended ({self._process.wait(5)})")


class UdpPairs(SlicedProgram):
    """64-byte datagrams between two sockets of one thread: see udp_pairs.c."""

    name = "udp-pairs"
    what = "UDP, 64-byte datagrams between two connected sockets of one thread, on loopback"


class TcpEcho(SlicedProgram):
    """An echo over many connections, both ends in one thread: see tcp_echo.c."""

    name = "tcp-echo"
    what = "TCP, echo of 1 KiB over 100 connections, both ends in one thread, on loopback"


def build(into: Path) -> None:
    """Compile the workloads' programs into a directory.

    Raises:
        BenchError: there is no compiler, or it refuses.
    """
    for source in sorted(Path(__file__).parent.glob("*.c")):
        command = ["gcc", "-O2", "-Wall", "-o", str(into / source.stem), str(source)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BenchError("gcc is missing: install it to build the workloads") from None
        if done.returncode:
            raise BenchError(f"gcc cannot build {source.name}:\n{done.stderr}")


def udp_pairs(programs: Path) -> AbstractContextManager[UdpPairs]:
    """The workload UdpPairs, idle until it is told to run."""
    return _sliced(UdpPairs, programs / "udp_pairs")


def tcp_echo(programs: Path) -> AbstractContextManager[TcpEcho]:
    """The workload TcpEcho, idle until it is told to run."""
    return _sliced(TcpEcho, programs / "tcp_echo")


@contextlib.contextmanager
def _sliced(kind: type[P], program: Path) -> Iterator[P]:
    with running([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield kind(process)
