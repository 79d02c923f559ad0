"""`python3 -m netiod.checkup`: what netiod needs of this machine, as JSON, for `netioctl doctor`.

One list of objects with `check`, `result` (ok, warn, fail, or unknown where root could say more),
`text`, and `remedy` or null. Nothing is loaded into the kernel but, by root, one ring buffer that
is let go at once; bcc is not imported.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from netioctl.wire.errors import ConfigError, NetioError
from netiod import prerequisites, privileges, settings

_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_MACHINES = ("x86_64", "aarch64")
#: Maps are charged to RLIMIT_MEMLOCK before this kernel.
_UNCHARGED = (5, 11)


class Found(NamedTuple):
    """How one check ended."""

    result: str
    text: str
    remedy: str | None = None


def main() -> int:
    """Print what was found."""
    rows = [{"check": name, **_look(check)._asdict()} for name, check in CHECKS]
    print(json.dumps(rows))
    return 0


def _look(check: Callable[[], Found]) -> Found:
    try:
        return check()
    except NetioError as error:
        return Found("fail", *_halves(str(error)))


def _lack(text: str | None, there: Callable[[], str]) -> Found:
    """The finding for what prerequisites says is lacking, or for what is there."""
    return Found("ok", there()) if text is None else Found("fail", *_halves(text))


def _halves(text: str) -> tuple[str, str | None]:
    """What is wrong, and what to do: the errors' texts have them before and after a colon."""
    what, colon, remedy = text.replace("\n", "; ").rpartition(": ")
    return (what, remedy) if colon else (text, None)


def kernel() -> Found:
    """Its release and architecture."""
    release, machine = platform.release(), platform.machine()
    text = f"{release} {machine}"
    if machine not in _MACHINES:
        return Found("fail", text, f"use a machine that is {' or '.join(_MACHINES)}")
    if machine != _MACHINES[0]:
        return Found("warn", f"{text}: nobody has tested this architecture")
    return Found("ok", text)


def ring_buffer() -> Found:
    """What came with Linux 5.8 and netiod cannot do without; tried, not guessed."""
    lack = prerequisites.capabilities()
    if lack is not None:
        if os.geteuid():
            return Found("unknown", "whether BPF ring buffers can be made")
        return Found("fail", *_halves(lack))
    from netiod import features

    features.check_ring_buffer()
    return Found("ok", "ring buffers can be made")


def btf() -> Found:
    """The kernel's own description of its types."""
    return _lack(prerequisites.btf(), lambda: prerequisites.BTF)


def lockdown() -> Found:
    """Whether the kernel keeps its memory even from root's BPF programs."""
    try:
        state = _LOCKDOWN.read_text()
    except OSError:
        return Found("ok", "none")
    chosen = re.search(r"\[(\w+)\]", state)
    mode = chosen[1] if chosen else "none"
    if mode == "confidentiality":
        remedy = "boot with lockdown=integrity, or without lockdown="
        return Found("fail", f"{mode}: BPF programs may not read the kernel's memory", remedy)
    return Found("ok", mode)


def bcc() -> Found:
    """BCC of the distribution."""

    def version() -> str:
        spec = importlib.util.find_spec("bcc")
        (place, *_) = (spec and spec.submodule_search_locations) or [""]
        try:
            said = re.search(r"'([\w.+-]+)'", Path(place, "version.py").read_text())
        except OSError:
            said = None
        return f"{said[1] if said else 'there'} ({place})"

    return _lack(prerequisites.bcc(), version)


def numpy() -> Found:
    """numpy, for the broker."""
    lack = prerequisites.module("numpy", "python3-numpy", "python3-numpy")
    return _lack(lack, lambda: _version("numpy"))


def pyzmq() -> Found:
    """pyzmq, for the gates."""
    lack = prerequisites.module("zmq", "python3-zmq", "python3-pyzmq or python3-zmq")
    return _lack(lack, lambda: _version("pyzmq"))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "there, of a version that it does not say"


def libseccomp() -> Found:
    """What filters the system calls of broker and gates."""
    return _lack(prerequisites.libseccomp(), lambda: "there")


def configuration() -> Found:
    """The file that netiod reads unless told otherwise."""
    try:
        settings.load({}, {})
    except ConfigError as error:
        return Found("fail", str(error), "correct that file, or remove it")
    there = os.path.exists(settings.DEFAULT_CONFIG)
    return Found("ok", f"{settings.DEFAULT_CONFIG}{'' if there else ' is not there: defaults'}")


def account() -> Found:
    """Whom broker and gates run as, and who may watch everything."""
    name = settings.DEFAULT_USER
    remedy = "sudo systemd-sysusers, or: sudo useradd --system --user-group netio"
    if privileges.find_group(name) is None:
        return Found("warn", f"no group {name}: only root may watch others' processes", remedy)
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return Found("warn", f"no user {name}: the broker runs as nobody", remedy)
    return Found("ok", f"user and group {name}")


def locked_memory() -> Found:
    """BPF maps count as locked memory on kernels before 5.11; the loader lifts the limit."""
    release = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    if release >= _UNCHARGED:
        return Found("ok", "BPF maps are not charged to RLIMIT_MEMLOCK on this kernel")
    if os.geteuid():
        return Found("unknown", "whether root may raise RLIMIT_MEMLOCK for BPF maps")
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] == resource.RLIM_INFINITY
    if unlimited or privileges.CAP_SYS_RESOURCE in privileges.capabilities():
        return Found("ok", "RLIMIT_MEMLOCK can be raised for BPF maps")
    return Found("fail", "RLIMIT_MEMLOCK is limited", "start netiod with LimitMEMLOCK=infinity")


#: In the order in which they are shown.
CHECKS: tuple[tuple[str, Callable[[], Found]], ...] = (
    ("kernel", kernel),
    ("BTF", btf),
    ("BPF", ring_buffer),
    ("lockdown", lockdown),
    ("memlock", locked_memory),
    ("bcc", bcc),
    ("pyzmq", pyzmq),
    ("numpy", numpy),
    ("libseccomp", libseccomp),
    ("netiod.toml", configuration),
    ("account", account),
)


if __name__ == "__main__":
    sys.exit(main())
