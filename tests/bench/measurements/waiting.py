"""How long people and scripts wait."""

from __future__ import annotations

import subprocess
import time

from tests.bench.context import Context
from tests.bench.results import Result, at_most
from tests.bench.running import BenchError, running

START = """\
From the start of `python3 -m netiod` until its control socket answers a request. Once before
that it is started without being measured, so that files are in memory and Python's bytecode is
compiled, as an installation has it, and the programs for the kernel, as the first start leaves
them. The second line is of starts that have to compile these: the first one, and those after an
upgrade of the kernel, BCC or netio."""
LIST = """\
From the start of `netioctl list` to its end, with one process added."""
FIRST = """\
A process makes a thousand events a second; from the start of `netioctl watch --json` until it
has written something."""

#: Repetitions of what takes a fraction of a second.
_STARTS, _LISTS = 5, 10
#: Events a second, and seconds within which the first must show.
_RATE, _PATIENCE = 1000, 5.0


def start(context: Context) -> list[Result]:
    """Seconds from start to ready."""
    with context.daemon():
        pass
    times, first = [], []
    for number in context.repeat(_STARTS):
        with context.daemon() as daemon:
            times.append(daemon.ready)
        nothing = context.scratch / f"nothing-compiled-{number}"
        with context.daemon("--cache-dir", str(nothing)) as daemon:
            first.append(daemon.ready)
    return [
        Result("start", "netiod, start to ready", "s", tuple(times), at_most(0.6)),
        Result("start-first", "the same, with nothing compiled yet", "s", tuple(first)),
    ]


def list_(context: Context) -> list[Result]:
    """Seconds of `netioctl list`."""
    times = []
    with context.udp_pairs() as workload, context.daemon() as daemon:
        daemon.add(workload.pid)
        command = daemon.command("list")
        _time_of(command)
        for _ in context.repeat(_LISTS):
            times.append(_time_of(command))
    return [Result("list", "netioctl list", "s", tuple(times), at_most(0.15))]


def first_event(context: Context) -> list[Result]:
    """Seconds from the start of `netioctl watch` to its first output."""
    times = []
    with context.udp_pairs() as workload, context.daemon() as daemon:
        command = daemon.command("watch", "--json", workload.pid)
        for _ in context.repeat(_STARTS):
            workload.begin(_PATIENCE / 2, _RATE)
            times.append(_time_to_output(command))
            workload.finish()
    what = "netioctl watch, start to first event"
    return [Result("first-event", what, "s", tuple(times), at_most(0.3))]


def _time_of(command: list[str]) -> float:
    """Seconds from start to end."""
    begin = time.monotonic()
    with running(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        _, error = process.communicate(timeout=_PATIENCE)
        seconds = time.monotonic() - begin
    if process.returncode:
        raise BenchError(f"{' '.join(command)} failed: {error.decode()}")
    return seconds


def _time_to_output(command: list[str]) -> float:
    """Seconds from start to the first byte on stdout."""
    begin = time.monotonic()
    with running(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if not process.stdout.read(1):
            raise BenchError(f"{' '.join(command)} failed: {process.stderr.read().decode()}")
        return time.monotonic() - begin
