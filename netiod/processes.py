"""Processes as /proc describes them: what the broker must know before it attaches one."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Where /proc is; see root_is_proc().
_proc = "/proc"


@dataclass(frozen=True)
class Process:
    """A living process. `start` is in clock ticks since boot; (pid, start) names it for good."""

    pid: int
    start: int
    comm: str
    #: Real, effective, saved and file-system uid.
    uids: tuple[int, int, int, int]


def root_is_proc() -> None:
    """This process has /proc as its root directory from now on."""
    global _proc  # noqa: PLW0603
    _proc = ""


def read(pid: int) -> Process | None:
    """The process `pid`, or None if there is none: a thread or a zombie is no process here."""
    try:
        with open(f"{_proc}/{pid}/status", "rb") as file:
            status = file.read()
        with open(f"{_proc}/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    fields = dict(line.split(b":\t", 1) for line in status.splitlines() if b":\t" in line)
    # comm may hold blanks and parentheses: what follows the last one is plain numbers.
    comm, rest = stat.split(b"(", 1)[1].rsplit(b")", 1)
    numbers = rest.split()
    if int(fields[b"Tgid"]) != pid or numbers[0] in (b"Z", b"X"):
        return None
    real, effective, saved, fs = (int(u) for u in fields[b"Uid"].split())
    return Process(
        pid, int(numbers[19]), comm.decode("utf-8", "replace"), (real, effective, saved, fs)
    )


def usage(pid: int) -> tuple[int, float] | None:
    """Resident bytes and CPU seconds of `pid`, or None if it is gone."""
    try:
        with open(f"{_proc}/{pid}/statm", "rb") as file:
            pages = int(file.read().split()[1])
        with open(f"{_proc}/{pid}/stat", "rb") as file:
            numbers = file.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    ticks = int(numbers[11]) + int(numbers[12])
    return pages * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> int | None:
    """Bytes of `pid`'s proportional set, or None where the kernel does not let us read it."""
    try:
        with open(f"{_proc}/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
