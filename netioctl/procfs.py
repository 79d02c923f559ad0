"""What /proc tells of a process to everyone: its cgroup, and when it started."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a process belongs: `cgroup` from the root of the hierarchy, `unit` of systemd.

    Both are empty where that is not known, `unit` also where there is none.
    """

    cgroup: str = ""
    unit: str = ""


#: Of a process that has gone, or that /proc does not show.
NOWHERE = Place()
_UNITS = (".service", ".scope")


def place(pid: int) -> Place:
    """The cgroup and the unit of a process now."""
    path = ""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="backslashreplace") as file:
            for line in file:
                _, controllers, found = line.rstrip("\n").split(":", 2)
                # Version 2 has the one line without controllers; with version 1, or both at
                # once, systemd keeps its units in a hierarchy of that name.
                if controllers == "name=systemd" or (not controllers and not path):
                    path = found
    except (OSError, ValueError):
        return NOWHERE
    return Place(path, unit(path))


def unit(cgroup: str) -> str:
    """The unit that a cgroup is of, or is within: the last part that names a service or scope."""
    parts = (part for part in reversed(cgroup.split("/")) if part.endswith(_UNITS))
    return next(parts, "")


def start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None: there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in brackets, may hold brackets and blanks.
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def uids(pid: int) -> tuple[int, int, int] | None:
    """The real, effective and saved uid of a process; None: there is none."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Uid:"):
                    real, effective, saved = map(int, line.split()[1:4])
                    return real, effective, saved
    except (OSError, ValueError):
        pass
    return None
