"""Mounts that netiod makes for itself alone. The loader's: tracefs, the root of all cgroups, and a
short list of kernel symbols. The broker's: all processes, and nothing else of /proc.

bcc reads all of the kernel's 120,000 symbols, several times, to ask for the two below, which every
kernel with a ring buffer has; that is half the time that loading takes.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
#: bcc takes the second where there is one.
_TRACEFS_PLACES = (TRACEFS, Path("/sys/kernel/debug/tracing"))
_CGROUP = Path("/sys/fs/cgroup")
_SYMBOLS = ("bpf_probe_read_kernel", "bpf_probe_read_user")
#: <linux/sched.h>, <linux/mount.h>
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 1 << 12, 1 << 14, 1 << 18
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 2, 4, 8, 32
#: fsopen(2) and its kin, the same on every architecture; <linux/mount.h>.
_NR_FSOPEN, _NR_FSCONFIG, _NR_FSMOUNT = 430, 431, 432
_CLOEXEC, _SET_STRING, _CMD_CREATE = 1, 1, 6
_ATTR_RDONLY_NOSUID_NODEV_NOEXEC = 1 | 2 | 4 | 8
_HARMLESS = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC


def unshare() -> None:
    """Give the calling process mounts of its own: /proc/kallsyms with just what bcc asks for,
    and tracefs (tracepoints, kretprobes) if nobody has mounted it.

    Where the kernel refuses, loading takes longer, and tracefs must be there already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or _mount(libc, None, "/", None, _MS_REC | _MS_PRIVATE):
        return
    with tempfile.NamedTemporaryFile() as symbols:
        for name in _SYMBOLS:
            symbols.write(f"ffffffff81000000 T {name}\n".encode())
        symbols.flush()
        _mount(libc, symbols.name, "/proc/kallsyms", None, _MS_BIND)
    for place in _TRACEFS_PLACES:
        if not (place / "events").exists():
            if place.is_dir():
                _mount(libc, "tracefs", str(place), "tracefs", _HARMLESS)
        elif not os.access(place / "events", os.W_OK):
            # A service manager has made it read-only for us.
            _mount(libc, None, str(place), None, _MS_REMOUNT | _MS_BIND | _HARMLESS)


def cgroup_root() -> Path:
    """Where the hierarchy of cgroup v2 is mounted; mounted here if it is nowhere.

    Raises:
        FileNotFoundError: it cannot be had.
    """
    for line in Path("/proc/self/mounts").read_text().splitlines():
        words = line.split(" ")
        if words[2] == "cgroup2":
            return Path(words[1])
    _mount(ctypes.CDLL(None, use_errno=True), "cgroup2", str(_CGROUP), "cgroup2", _HARMLESS)
    if not (_CGROUP / "cgroup.controllers").exists():
        raise FileNotFoundError("no cgroup v2 hierarchy can be mounted")
    return _CGROUP


def processes() -> int | None:
    """A /proc for reading that has every process, whatever options the host's is mounted with, and
    nothing else; mounted nowhere, as a descriptor of its top. None: it cannot be had.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    context = int(libc.syscall(_NR_FSOPEN, b"proc", _CLOEXEC))
    if context < 0:
        return None
    try:
        # subset=pid: since 5.8.
        failed = libc.syscall(_NR_FSCONFIG, context, _SET_STRING, b"subset", b"pid", 0)
        failed = failed or libc.syscall(_NR_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        if failed:
            return None
        attributes = _ATTR_RDONLY_NOSUID_NODEV_NOEXEC
        top = int(libc.syscall(_NR_FSMOUNT, context, _CLOEXEC, attributes))
    finally:
        os.close(context)
    return top if top >= 0 else None


def _mount(
    libc: ctypes.CDLL, source: str | None, target: str, kind: str | None, flags: int
) -> bool:
    """mount(2); whether it failed."""
    words = (word.encode() if word else None for word in (source, target, kind))
    return bool(libc.mount(*words, ctypes.c_ulong(flags), None))
