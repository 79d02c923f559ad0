"""Processes of the benchmark: started so that they end with it, and what they use."""

from __future__ import annotations

import array
import contextlib
import mmap
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

#: The checkout: modules are run from here.
TOP = Path(__file__).resolve().parents[2]
#: The same for whoever runs the benchmark. Without NETIO_RUN_DIR: every command is told where.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}
#: CPUCLOCK_SCHED of the kernel's include/linux/posix-timers.h: a process's CPU time.
_CPUCLOCK_SCHED = 2


class BenchError(Exception):
    """Something could not be measured; the text says why."""


class Unavailable(BenchError):
    """This machine lacks what is needed, or cannot do it: that is skipped, and is no failure."""


def find(program: str, *elsewhere: Path) -> str:
    """The path of a program of the system, or of one below `elsewhere`.

    Raises:
        Unavailable: there is none.
    """
    path = os.pathsep.join([ENVIRONMENT["PATH"], *map(str, elsewhere)])
    found = shutil.which(program, path=path)
    if found is None:
        raise Unavailable(f"{program} is not installed")
    return found


@contextlib.contextmanager
def running(
    command: Iterable[str | os.PathLike[str]], sig: int = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """Run `command` meanwhile; it is ended with `sig`, and must end.

    In a session of its own, so that Ctrl+C reaches the benchmark alone and things are ended in
    order; and it dies with the benchmark, however that ends.
    """
    guarded = ["setpriv", "--pdeathsig", "TERM", "--", *command]
    process = subprocess.Popen(guarded, cwd=TOP, env=ENVIRONMENT, start_new_session=True, **options)
    try:
        yield process
    finally:
        end(process, sig)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                # A last buffered write to one that is dead.
                with contextlib.suppress(OSError):
                    stream.close()


def end(process: subprocess.Popen[Any], sig: int = signal.SIGTERM, seconds: float = 10) -> None:
    """End a process with `sig`, or after `seconds` with SIGKILL."""
    if process.poll() is not None:
        return
    process.send_signal(sig)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of `condition`, looked at every 5 ms.

    Raises:
        BenchError: there was none in that time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(0.005)
    return value


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds, user and system, that processes have used so far, in nanosecond steps.

    The sum of utime and stime in /proc/PID/stat, without its rounding to 10 ms.

    Raises:
        BenchError: one of them is gone.
    """
    try:
        return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids)
    except OSError as error:
        raise BenchError(f"a process that was to be measured has gone: {error}") from error


def cpu_at_rest(pids: Iterable[int], seconds: float = 10) -> float:
    """What cpu_seconds() says once processes have next to nothing to do: they used less than a
    tenth of 0.1 s together. After `seconds` whatever it says then.

    Raises:
        BenchError: one of them is gone.
    """
    pids = list(pids)
    deadline = time.monotonic() + seconds
    before = cpu_seconds(pids)
    while True:
        time.sleep(0.1)
        now = cpu_seconds(pids)
        if now - before < 0.01 or time.monotonic() > deadline:
            return now
        before = now


def settle(pid: int, seconds: float = 10) -> None:
    """Wait until a process has done what it does at its start: it sleeps for 0.1 s.

    Raises:
        BenchError: it ended, or did not come to rest in that time.
    """
    deadline = time.monotonic() + seconds
    before = cpu_seconds([pid])
    while True:
        time.sleep(0.1)
        now = cpu_seconds([pid])
        # One that has only begun to load may wait for the disk: then it used next to nothing.
        if now - before < 0.001 and now > 0.03:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"process {pid} did not come to rest within {seconds:g} s")
        before = now


def pss(pids: Iterable[int]) -> int:
    """Bytes of memory of processes together, what they share counted once (PSS).

    Raises:
        BenchError: one of them is gone.
    """
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError as error:
            raise BenchError(f"a process that was to be measured has gone: {error}") from error
        total += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
    return total * 1024


def distinct(pids: Iterable[int]) -> int:
    """Bytes of memory that processes have together: each page once, whoever else shares it.

    More than their PSS where other programs use the same libraries: a bound that does not
    depend on what else runs. Needs root, as page frame numbers are kept from others.

    Raises:
        BenchError: one of them is gone.
    """
    frames: set[int] = set()
    size = mmap.PAGESIZE
    try:
        for pid in pids:
            maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
            with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
                for line in maps:
                    first, last = (int(x, 16) // size for x in line.split()[0].split("-"))
                    # The last one, [vsyscall], lies in the kernel's half and has no pages.
                    if first >> 51:
                        continue
                    pagemap.seek(first * 8)
                    entries = array.array("Q", pagemap.read((last - first) * 8))
                    # Bit 63: present; bits 0 to 54: page frame number.
                    frames.update(e & (1 << 55) - 1 for e in entries if e >> 63)
    except OSError as error:
        raise BenchError(f"a process that was to be measured has gone: {error}") from error
    return len(frames) * size
