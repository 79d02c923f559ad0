"""Several virtual machines at a time, and what is said meanwhile."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.machine import Machine, Outcome, Shape
from tests.kernels.packages import Kernel
from tests.kernels.userland import inside

TOP = Path(__file__).resolve().parents[2]
#: What a line of progress from a guest begins with.
PROGRESS = "progress: "
_CLEAR = "\r\x1b[K"
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Job:
    """A command for a kernel; with `stream` its output goes to standard output as it comes.

    `part` tells it from other jobs of the same kernel. It runs in the file system below `root`, or
    else in the machine's own. `files` are copied into /run/share, and what the guest leaves there
    is copied to `results`.
    """

    kernel: Kernel
    command: str
    root: Path | None = None
    stream: bool = False
    files: tuple[Path, ...] = ()
    results: Path | None = None
    part: str = ""

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"{self.kernel.version} ({self.part})" if self.part else self.kernel.version


@dataclass(frozen=True)
class Ended:
    """A job that came to an end."""

    job: Job
    outcome: Outcome
    output: str


def run_all(jobs: list[Job], shape: Shape, at_a_time: int) -> list[Ended]:
    """Run the jobs; the results in their order."""
    machines: list[Machine] = []
    try:
        for job in jobs:
            machines.append(Machine(job.kernel, shape))
        with ThreadPoolExecutor(at_a_time) as pool:
            futures = {
                pool.submit(_run, job, machine): i
                for i, (job, machine) in enumerate(zip(jobs, machines))
            }
            ended: dict[int, Ended] = {}
            try:
                for future in as_completed(futures):
                    done = future.result()
                    ended[futures[future]] = done
                    _report(done)
            except BaseException:
                # The pool waits for its threads, and they wait for their machines.
                for machine in machines:
                    machine.stop()
                for future in futures:
                    future.cancel()
                raise
        return [ended[i] for i in sorted(ended)]
    finally:
        for machine in machines:
            machine.__exit__()


def _run(job: Job, machine: Machine) -> Ended:
    SCREEN.say(f"{job.title}: booting {job.kernel.release}")
    parts: list[bytes] = []

    def output(data: bytes) -> None:
        parts.append(data)
        if job.stream:
            with _LOCK:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            _look_for_progress(job, data)

    for file in job.files:
        shutil.copy(file, machine.share)
    try:
        command = inside(job.root, TOP, job.command) if job.root else job.command
        outcome = machine.run(command, TOP, output)
    finally:
        SCREEN.far(job.title, "")
    if job.results is not None:
        shutil.copytree(
            machine.share,
            job.results,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("command", "directory", "status"),
        )
    return Ended(job, outcome, b"".join(parts).decode("utf-8", "replace"))


def _look_for_progress(job: Job, data: bytes) -> None:
    # A line that comes in two pieces is left out: the next one comes in a second.
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith(PROGRESS):
            SCREEN.far(job.title, line[len(PROGRESS) :])


def _report(ended: Ended) -> None:
    outcome = ended.outcome
    if outcome.status is None:
        text = f"{ended.job.title}: {outcome.why}\n"
        if outcome.console:
            text += f"-- its console\n{outcome.console}\n--\n"
        SCREEN.far(ended.job.title, "")
        sys.stdout.flush()
        os.write(2, text.encode())
    else:
        SCREEN.say(f"{ended.job.title}: {outcome.seconds:.0f} s, status {outcome.status}")


class Screen:
    """Standard error, where it is a terminal: lines that stay, and a last one that changes."""

    def __init__(self) -> None:
        self._far: dict[str, str] = {}
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """Show a line that stays."""
        if sys.stderr.isatty():
            with self._lock:
                print(f"{_CLEAR}{line}", file=sys.stderr, flush=True)

    def far(self, kernel: str, how: str) -> None:
        """Show how far a kernel is; nothing any more of one that says ""."""
        if not sys.stderr.isatty():
            return
        with self._lock:
            self._far.pop(kernel, None)
            if how:
                self._far[kernel] = how
            parts = (f"{name}: {text}" for name, text in sorted(self._far.items()))
            width = shutil.get_terminal_size().columns - 1
            print(f"{_CLEAR}{'; '.join(parts)[:width]}", end="", file=sys.stderr, flush=True)


SCREEN = Screen()
