"""Processes as /proc describes them: what the broker must know before it attaches one."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Where /proc is; see root_is_proc().
_proc = "/proc"

#: Large enough for the part of /proc/PID/status that is needed, whatever its name holds.
_STATUS = 4096
#: fields of /proc/PID/stat after comm
_STATE, _START = 0, 19

Uids = tuple[int, int, int, int]


@dataclass(frozen=True)
class Process:
    """A living process. `start` is in clock ticks since boot; (pid, start) names it for good."""

    pid: int
    start: int
    comm: str
    #: Real, effective, saved and file-system uid.
    uids: Uids


def root_is_proc() -> None:
    """This process has /proc as its root directory from now on."""
    global _proc  # noqa: PLW0603
    _proc = ""


def read(pid: int) -> Process | None:
    """The process `pid`, or None if there is none: a thread or a zombie is no process here.

    What there is not takes as long as what there is: the time tells nobody which it was.
    """
    found = _read(pid)
    if found is None:
        _read(os.getpid())
        return None
    tgid, state, process = found
    return None if tgid != pid or state in (b"Z", b"X") else process


def owner(pid: int) -> int | None:
    """The uid that /proc/PID belongs to: the effective one, or 0 where that has changed.

    None if there is no such process, or none that we may see.
    """
    try:
        return os.stat(f"{_proc}/{pid}").st_uid
    except OSError:
        return None


def uids(pid: int) -> Uids | None:
    """The uids of a process, also of a zombie; None if there is none, or none that we may see."""
    try:
        fd = os.open(f"{_proc}/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _uids(os.read(fd, _STATUS))
    except OSError:
        return None
    finally:
        os.close(fd)


def start(pid: int) -> int | None:
    """When the process began, also of a zombie, in clock ticks since boot; None as above."""
    try:
        with open(f"{_proc}/{pid}/stat", "rb") as file:
            return int(file.read().rsplit(b")", 1)[1].split()[_START])
    except OSError:
        return None


def others_are_hidden() -> bool:
    """Whether /proc keeps other users' processes from us (its mount option hidepid)."""
    if os.geteuid() == 0:
        return False
    # There always is a process 1, and it is not ours.
    return uids(1) is None


def _read(pid: int) -> tuple[int, bytes, Process] | None:
    """(tgid, state, process). Both files are of one process, even if its number is reused."""
    try:
        directory = os.open(f"{_proc}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status, stat = (_file(directory, name) for name in ("status", "stat"))
    except OSError:
        return None
    finally:
        os.close(directory)
    # comm may hold blanks and parentheses: what follows the last one is plain numbers.
    comm, rest = stat.split(b"(", 1)[1].rsplit(b")", 1)
    numbers = rest.split()
    tgid = int(status.split(b"\nTgid:\t", 1)[1].split(b"\n", 1)[0])
    name = comm.decode("utf-8", "replace")
    return tgid, numbers[_STATE], Process(pid, int(numbers[_START]), name, _uids(status))


def _file(directory: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(fd, _STATUS)
    finally:
        os.close(fd)


def _uids(status: bytes) -> Uids:
    # A newline in a name is escaped there.
    words = status.split(b"\nUid:\t", 1)[1].split(b"\n", 1)[0].split()
    real, effective, saved, fs = map(int, words)
    return real, effective, saved, fs


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
