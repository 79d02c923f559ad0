"""Several virtual machines at a time, and what is said meanwhile."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.machine import Machine, Outcome, Shape
from tests.kernels.packages import Kernel

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """A command for a kernel; with `stream` its output goes to standard output as it comes.

    What the guest leaves in /run/share is copied to `results`.
    """

    kernel: Kernel
    command: str
    stream: bool = False
    results: Path | None = None


@dataclass(frozen=True)
class Ended:
    """A job that came to an end."""

    job: Job
    outcome: Outcome
    output: str


def run_all(
    jobs: list[Job], shape: Shape, at_a_time: int, each: Callable[[Ended], None] | None = None
) -> list[Ended]:
    """Run the jobs, `each` is called as they end; the results in the order of the jobs."""
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
                    if each is not None:
                        each(done)
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
    _say(f"{job.kernel.version}: booting {job.kernel.release}")
    parts: list[bytes] = []
    lock = threading.Lock()

    def output(data: bytes) -> None:
        parts.append(data)
        if job.stream:
            with lock:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()

    outcome = machine.run(job.command, TOP, output)
    if job.results is not None:
        shutil.copytree(
            machine.share,
            job.results,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("command", "status"),
        )
    return Ended(job, outcome, b"".join(parts).decode("utf-8", "replace"))


def _report(ended: Ended) -> None:
    outcome = ended.outcome
    if outcome.status is None:
        sys.stdout.flush()
        text = f"{ended.job.kernel.version}: {outcome.why}\n"
        if outcome.console:
            text += f"-- the last lines of its console\n{outcome.console}\n--\n"
        os.write(2, text.encode())
    else:
        _say(f"{ended.job.kernel.version}: {outcome.seconds:.0f} s, status {outcome.status}")


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
