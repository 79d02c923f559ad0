"""Cgroups by path, systemd unit or container, as the selectors of netiod need them.

Only the unified hierarchy (cgroup2) counts: the kernel names no others to BPF programs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from netioctl.wire.errors import UsageError

#: Suffixes of units that have processes.
_UNITS = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")
#: Programs that know containers by name, and how they are asked for an id.
_RUNTIMES = (
    ("docker", "inspect", "--type", "container", "--format", "{{.Id}}"),
    ("podman", "container", "inspect", "--format", "{{.Id}}"),
    ("nerdctl", "inspect", "--type", "container", "--format", "{{.Id}}"),
)
#: Seconds that one of them may take.
_PATIENCE = 5.0
_ID = re.compile(r"[0-9a-f]{12,64}")
#: Bytes of a path by which netiod can choose.
_PATH = 254
#: The inode number of the root of all cgroups, which a cgroup namespace hides.
_ROOT = 1


class Cgroup(NamedTuple):
    """A cgroup: its id in the kernel (0: there is none now), its depth below the root (1: just
    below), its path there."""

    id: int
    level: int
    path: str

    @property
    def kernel_path(self) -> str | None:
        """The path as the kernel has it, if that can be known and netiod can choose by it."""
        known = len(os.fsencode(self.path)) <= _PATH and os.stat(_root()).st_ino == _ROOT
        return self.path if known else None


def by_path(path: str, *, there: bool = True) -> Cgroup | None:
    """The cgroup `path`, from the root of the hierarchy or as a directory; None: there is none.
    Without `there` also one that is still to be made, where netiod can choose by its path.

    Raises:
        UsageError: the root is meant, or there is no cgroup2 hierarchy.
    """
    root = _root()
    real = os.path.realpath(path)
    directory = real if _below(real, root) else os.path.normpath(f"{root}/{path}")
    if directory == root:
        raise UsageError("every process is below the root cgroup: --all watches all")
    if not _below(directory, root):
        return None
    found = _cgroup(root, directory)
    if found is None and not there and not os.path.lexists(directory):
        place = directory[len(root) :]
        later = Cgroup(0, place.count("/"), place)
        return later if later.kernel_path else None
    return found


def now(path: str) -> int | None:
    """The id of the cgroup at a kernel_path; None: there is none."""
    found = _cgroup(_root(), _root() + path)
    return None if found is None else found.id


def by_unit(unit: str, known: Collection[str] = ()) -> list[Cgroup]:
    """The cgroups of a systemd unit, of every manager that runs one of that name, or those of
    these `known` paths that are its.

    Raises:
        UsageError: there is no cgroup2 hierarchy.
    """
    name = unit if unit.endswith(_UNITS) else f"{unit}.service"
    # systemd escapes what would be a path, but nothing keeps people from typing one.
    return [] if "/" in name else list(_search(lambda found: found == name, known))


def by_container(name: str, known: Collection[str] = ()) -> list[Cgroup]:
    """The cgroups of a container, by its name or (the beginning of) its id, or of a Kubernetes pod
    by its uid; `known` as in by_unit().

    Raises:
        UsageError: there is no cgroup2 hierarchy.
    """
    for ident in filter(None, (name.lower(), _ask_runtimes(name))):
        # A pod's uid has underscores there under systemd.
        pod = ident.replace("-", "_")
        if _ID.fullmatch(ident):
            pattern = re.compile(rf"(?:[a-z-]+-)?{ident}[0-9a-f]*(?:\.scope)?")
        elif re.fullmatch(r"[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}", pod):
            pattern = re.compile(rf"(?:kubepods.*-)?pod(?:{ident}|{pod})(?:\.slice)?")
        else:
            continue
        if found := list(_search(partial(_fits, pattern), known)):
            return found
    return []


def populated(cgroup: Cgroup) -> bool:
    """Whether processes are in it or below it."""
    try:
        with open(f"{_root()}{cgroup.path}/cgroup.events", encoding="ascii") as file:
            return "populated 1" in file.read()
    except OSError:
        return False


def of_process(pid: int) -> str | None:
    """The path of a process's cgroup; None if it is gone."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if line.startswith("0::"):
                    return line[3:].rstrip("\n")
    except OSError:
        pass
    return None


def by_id(ident: int) -> Cgroup | None:
    """The cgroup that the kernel calls so; None: there is none any more.

    Raises:
        UsageError: there is no cgroup2 hierarchy.
    """
    root = _root()
    for directory, _below_it, _files in os.walk(root):
        with contextlib.suppress(OSError):
            if directory != root and os.stat(directory).st_ino == ident:
                return _cgroup(root, directory)
    return None


def _fits(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.fullmatch(name) is not None


def _root() -> str:
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.split()
                if fields[2] == "cgroup2":
                    return fields[1]
    except OSError:
        pass
    raise UsageError("this system has no cgroup2 hierarchy, which cgroups are chosen by")


def _below(directory: str, root: str) -> bool:
    return directory == root or directory.startswith(f"{root}/")


def _cgroup(root: str, directory: str) -> Cgroup | None:
    try:
        # The inode number of its directory is what the kernel calls its id.
        found = os.stat(directory)
    except OSError:
        return None
    if not os.path.isfile(f"{directory}/cgroup.procs"):
        return None
    path = directory[len(root) :]
    return Cgroup(found.st_ino, path.count("/"), path)


def _search(wanted: Callable[[str], bool], known: Collection[str]) -> Iterator[Cgroup]:
    """The cgroups of `known` paths whose name is `wanted`; else the topmost there are."""
    root = _root()
    if kept := [path for path in known if wanted(path.rpartition("/")[2])]:
        yield from (Cgroup(now(path) or 0, path.count("/"), path) for path in kept)
        return
    for directory, below, _files in os.walk(root):
        for name in list(below):
            if wanted(name):
                below.remove(name)
                found = _cgroup(root, f"{directory}/{name}")
                if found is not None:
                    yield found


def _ask_runtimes(name: str) -> str | None:
    """The id of a container by its name, if a container runtime knows it."""
    if name.startswith("-"):
        return None
    for program, *arguments in _RUNTIMES:
        path = shutil.which(program)
        if path is None:
            continue
        try:
            answer = subprocess.run(
                [path, *arguments, name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        found = answer.stdout.strip()
        if answer.returncode == 0 and _ID.fullmatch(found):
            return found
    return None
