"""What the caller may do, and has."""

from __future__ import annotations

import contextlib
import grp
import os
import re
import resource

from netioctl.doctor.finding import Finding, Result, ok, warn

_OPERATORS = "netio"
#: Descriptors that a watch takes, with room.
_DESCRIPTORS = 64


def rights(_run_dir: str) -> list[Finding]:
    """Whose processes the caller may watch, where the operators' group has its usual name."""
    if os.geteuid() == 0:
        return [ok("rights", "root may watch every process")]
    try:
        group = grp.getgrnam(_OPERATORS)
    except KeyError:
        return [ok("rights", f"you may watch your own processes; there is no group {_OPERATORS}")]
    if group.gr_gid in (os.getegid(), *os.getgroups()):
        return [ok("rights", f"you are in group {_OPERATORS} and may watch every process")]
    if _name() in group.gr_mem:
        text = f"you are in group {_OPERATORS} since after this login"
        return [warn("rights", text, f"log in again, or: newgrp {_OPERATORS}")]
    text = "you may watch your own processes; those of others: "
    return [ok("rights", f"{text}sudo usermod -aG {_OPERATORS} {_name()}")]


def _name() -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())


def processes(_run_dir: str) -> list[Finding]:
    """Whether /proc shows the caller others' processes, which netiod may allow to be watched."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
            mounts = [line.split(" ") for line in file]
    except OSError:
        return [warn("/proc", "not mounted", "sudo mount -t proc proc /proc")]
    options = next((words[3] for words in mounts if words[1] == "/proc"), "")
    hidden = re.search(r"\bhidepid=(\w+)", options)
    if hidden is None or hidden[1] in ("0", "off") or os.geteuid() == 0:
        return [ok("/proc", "shows all processes")]
    text = f"mounted with hidepid={hidden[1]}: pgrep and completion find your own processes only"
    return [ok("/proc", text)]


def descriptors(_run_dir: str) -> list[Finding]:
    """The limit of open files of whoever watches."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _DESCRIPTORS:
        return [warn("open files", f"limited to {soft}", f"ulimit -n {min(1024, hard)}")]
    return [Finding("open files", Result.OK, f"up to {soft}")]
