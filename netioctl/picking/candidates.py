"""The caller's processes that have sockets, as /proc shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from netioctl import procfs

#: Bytes of a command line that are read: a screen shows no more.
_COMMAND = 512


class Candidate(NamedTuple):
    """A process; `sockets` counts its descriptors of sockets.

    `moved`: bytes that it sent and received while that was measured; None: it was not.
    """

    pid: int
    uid: int
    comm: str
    command: str
    sockets: int
    moved: int | None = None


def find() -> list[Candidate]:
    """Processes of this user, for root those of all users, that have sockets; not this one."""
    own, found = os.geteuid(), []
    for pid in _pids():
        try:
            if own != 0 and procfs.uids(pid) != (own, own, own):
                # It is another user's, or was: netiod would refuse it.
                continue
            if sockets := _sockets(pid):
                found.append(_candidate(pid, sockets))
        except (OSError, ValueError):
            # It has ended meanwhile, or may not be looked at.
            continue
    return found


def most_active_first(candidates: list[Candidate], moved: dict[int, int]) -> list[Candidate]:
    """By what each moved, then by sockets, then by PID."""
    known = [candidate._replace(moved=moved.get(candidate.pid)) for candidate in candidates]
    return sorted(known, key=lambda each: (-(each.moved or 0), -each.sockets, each.pid))


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            yield int(name)


def _sockets(pid: int) -> int:
    directory, count = f"/proc/{pid}/fd", 0
    for name in os.listdir(directory):
        try:
            count += os.readlink(f"{directory}/{name}").startswith("socket:[")
        except OSError:  # closed meanwhile
            continue
    return count


def _candidate(pid: int, sockets: int) -> Candidate:
    with open(f"/proc/{pid}/comm", "rb") as file:
        comm = _text(file.read().rstrip(b"\n"))
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = _text(file.read(_COMMAND).rstrip(b"\0").replace(b"\0", b" "))
    if command.startswith("/"):
        # Which directory it came from says little, and takes the room of what does.
        program, space, arguments = command.partition(" ")
        command = os.path.basename(program) + space + arguments
    return Candidate(pid, os.stat(f"/proc/{pid}").st_uid, comm, command or f"[{comm}]", sockets)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
