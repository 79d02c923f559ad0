"""What each process of netiod gives up; broker and gates, before they listen to anybody: root,
files, system calls.

In this order: what Python reads late is read now; a root directory of their own; privileges.drop();
Landlock; the filter of system calls. Where the kernel, or a container, lacks one of these, the
others hold, and exceptions() says what is missing. SECURITY.md describes the result, and a
test compares it with running processes.
"""

from __future__ import annotations

import codecs
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from netiod import landlock, mounts, privileges, processes, seccomp, syscalls
from netiod.privileges import CAP_SYS_CHROOT, Account

_LOG = logging.getLogger("netiod.confine")
#: There where the kernel has filters (CONFIG_SECCOMP_FILTER).
_HAS_FILTERS = "/proc/sys/kernel/seccomp/actions_avail"
#: Codecs that Python looks for as files when they are first used.
_CODECS = ("ascii", "latin-1", "unicode_escape")

_exceptions: list[str] = []


def as_broker(account: Account, keep: Iterable[int], parent: int, proc: int | None = None) -> None:
    """Become `account` with the capabilities `keep` and no sight of any file outside `proc`, a
    descriptor of mounts.processes() that is closed, or else /proc; get SIGTERM when `parent` dies.

    Raises:
        OSError: the kernel refused a step that it can do.
        RuntimeError: privileges are left.
    """
    _warm_up()
    filtered = os.path.exists(_HAS_FILTERS)
    changed = _may_change_root()
    top = "/proc" if proc is None else proc
    privileges.drop(account, keep, root=top if changed else None)
    if changed:
        processes.root_is_proc()
    if proc is not None:
        os.close(proc)
    privileges.die_with_parent(parent, signal.SIGTERM)
    _restrict("/" if changed else "/proc", changed)
    if filtered:
        seccomp.load(syscalls.broker())
    else:
        _no_filter()


def as_gate(account: Account, run_dir: str, parent: int) -> None:
    """Become `account` without any sight of files; get SIGKILL when `parent` dies.

    `run_dir` is a directory that root alone may write to.

    Raises:
        OSError: the kernel refused a step that it can do.
        RuntimeError: privileges are left.
    """
    _warm_up()
    filtered = os.path.exists(_HAS_FILTERS)
    changed = _may_change_root()
    privileges.drop(account, root=_no_directory(run_dir) if changed else None)
    privileges.die_with_parent(parent, signal.SIGKILL)
    _restrict(None, changed)
    if filtered:
        seccomp.load(syscalls.gate())
    else:
        _no_filter()


def as_loader(parent: int) -> None:
    """Stay root with what loading takes, without network or other programs; get SIGKILL when
    `parent` dies. What mounting takes is left, to be given up by loader_has_mounted().

    Raises:
        OSError: the kernel refused a step that it can do.
    """
    privileges.die_with_parent(parent, signal.SIGKILL)
    mounting = {privileges.CAP_SYS_ADMIN, privileges.CAP_SETPCAP}
    privileges.reduce(privileges.LOADER | privileges.for_hooks() | mounting)
    if os.path.exists(_HAS_FILTERS):
        seccomp.load(syscalls.loader())


def loader_has_mounted() -> None:
    """Give up what the loader had for that, unless this kernel asks for it to load programs."""
    privileges.reduce(privileges.LOADER | privileges.for_hooks())


def as_starting_supervisor() -> int | None:
    """Stay root with what the supervisor and its loader need, wherever the run directory is.
    Returns what as_broker() takes as `proc`."""
    proc = mounts.processes()
    privileges.reduce(
        privileges.SUPERVISOR
        | privileges.LOADER
        | privileges.for_hooks()
        | {privileges.CAP_SYS_ADMIN, privileges.CAP_DAC_OVERRIDE}
    )
    return proc


def as_supervisor(run_dir: str, hooks: bool, broker: Iterable[int]) -> None:
    """Stay root with what is needed once programs are loaded.

    Args:
        run_dir: where sockets are made; if a directory above it is not root's, it takes
            CAP_DAC_OVERRIDE to get there.
        hooks: whether some will have to be attached again.
        broker: capabilities that each new broker is to keep.
    """
    keep = privileges.SUPERVISOR | frozenset(broker)
    if hooks:
        keep |= privileges.for_hooks()
    above = Path(run_dir).resolve().parents
    if any(directory.stat().st_uid != 0 for directory in above):
        keep |= {privileges.CAP_DAC_OVERRIDE}
    privileges.reduce(keep)


def exceptions() -> list[str]:
    """What is missing from this process's confinement, and why; a sentence each."""
    return list(_exceptions)


def _warm_up() -> None:
    seccomp.prepare()
    for name in _CODECS:
        codecs.lookup(name)
    # With a value, the C library reads the zone once; without one, at each localtime(3).
    os.environ.setdefault("TZ", ":/etc/localtime")
    time.tzset()
    try:
        raise ValueError
    except ValueError:
        logging.Formatter().formatException(sys.exc_info())


def _may_change_root() -> bool:
    return CAP_SYS_CHROOT in privileges.capabilities()


def _no_directory(run_dir: str) -> str:
    """Go to a directory that has been removed: it is empty, and nothing can be made in it."""
    name = tempfile.mkdtemp(prefix="root-", dir=run_dir)
    os.chdir(name)
    os.rmdir(name)
    return "."


def _restrict(readable: str | None, root_changed: bool) -> None:
    restricted = landlock.restrict(readable)
    if not restricted:
        _except("the broker and the gates run without Landlock: this kernel has none switched on")
    if not root_changed:
        seen = "; Landlock keeps them from reading it" if restricted else ""
        _except(
            "the broker and the gates see the whole file system, because netiod lacks "
            f"CAP_SYS_CHROOT{seen}"
        )


def _no_filter() -> None:
    _except(
        "the broker and the gates may make any system call: this kernel has no filters "
        "(CONFIG_SECCOMP_FILTER)"
    )


def _except(text: str) -> None:
    _exceptions.append(text)
    _LOG.debug("%s", text)
