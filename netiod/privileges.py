"""Giving up root: users, groups, capabilities, and what happens when the parent dies.

Manual pages: capabilities(7), capset(2), prctl(2). Numbers: <linux/prctl.h>,
<linux/capability.h>.
"""

from __future__ import annotations

import ctypes
import functools
import grp
import logging
import os
import pwd
import signal
from collections.abc import Iterable
from typing import Any, NamedTuple

from netioctl.wire.errors import ConfigError
from netiod.settings import DEFAULT_USER

_LOG = logging.getLogger("netiod.privileges")

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAP = "/proc/sys/kernel/cap_last_cap"
_STATUS = "/proc/self/status"
#: Capabilities that netiod speaks of: <linux/capability.h>.
CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 1, 5, 6, 7, 8
CAP_NET_ADMIN, CAP_SYS_CHROOT, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 12, 18, 21, 24
CAP_PERFMON, CAP_BPF = 38, 39
#: Supervisor: large buffers for gates' sockets; start children that drop all this, in other root
#: directories, and end them, also by its own death. What its hooks take is added: for_hooks().
SUPERVISOR = frozenset(
    (CAP_NET_ADMIN, CAP_KILL, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_CHROOT)
)
#: Loader: programs for cgroups are network administration; the limit on locked memory before 5.11;
#: a child that tries what maps take without privileges.
LOADER = frozenset((CAP_NET_ADMIN, CAP_SYS_RESOURCE, CAP_SETUID, CAP_SETGID))
_PERF_PARANOID = "/proc/sys/kernel/perf_event_paranoid"


class Account(NamedTuple):
    """A user as processes have it."""

    name: str
    uid: int
    gid: int


def find_account(name: str) -> Account:
    """The user that broker and gates run as; nobody where the default one does not exist.

    Raises:
        ConfigError: there is no such user, or it is root.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        if name != DEFAULT_USER:
            raise ConfigError(f"there is no user {name}: create it, or name another") from None
        _LOG.warning("there is no user %s: the broker runs as nobody instead", name)
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise ConfigError(f"there is neither a user {name} nor nobody: create one") from None
    if entry.pw_uid == 0:
        raise ConfigError(f"user {entry.pw_name} is root: name one without privileges")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


@functools.lru_cache(maxsize=1)
def find_group(name: str) -> int | None:
    """The gid of a group, or None. Asked once: the broker, which knows the answer from its
    parent, cannot read /etc/group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def drop(account: Account, keep: Iterable[int] = (), root: str | int | None = None) -> None:
    """Become `account` for good, without groups or capabilities other than `keep` (numbers),
    with `root`, a path or a descriptor, as the root directory unless that is None.

    Raises:
        OSError: the kernel refused a step.
        RuntimeError: it agreed, yet privileges are left.
    """
    kept = frozenset(keep)
    # Opened now: a new root may have no /proc.
    with open(_STATUS, encoding="ascii", errors="replace") as status:
        last = _last_capability()
        if root is not None:
            os.chdir(root)
            os.chroot(".")
        _bound(last, frozenset())
        _prctl(_PR_SET_KEEPCAPS, 1 if kept else 0)
        os.setgroups([])
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        _capset(kept)
        close_off()
        _check(_fields(status), account, kept)


def reduce(keep: Iterable[int]) -> None:
    """Stay who we are, root, without capabilities other than those of `keep` that we have.

    Raises:
        OSError: the kernel refused a step.
    """
    kept = frozenset(keep) & capabilities()
    _bound(_last_capability(), kept)
    _capset(kept)
    close_off()


def for_hooks() -> frozenset[int]:
    """What it takes on this kernel to load and attach programs."""
    if _last_capability() < CAP_BPF:
        return frozenset((CAP_SYS_ADMIN,))
    try:
        with open(_PERF_PARANOID, encoding="ascii") as file:
            paranoid = int(file.read())
    except OSError:
        paranoid = 0
    # More than 2 is known to distributions' kernels alone, whose perf_event_open(2) may then ask
    # for CAP_SYS_ADMIN.
    more = (CAP_SYS_ADMIN,) if paranoid > 2 else ()
    return frozenset((CAP_BPF, CAP_PERFMON, *more))


def close_off() -> None:
    """No program that is started gains privileges; no core dumps, and no process without
    CAP_SYS_PTRACE looks inside, not even one of the same user."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask for signal `number` when process `parent` dies; end at once if it has already.

    To be called after drop(): a change of uid cancels it. A parent of another user needs CAP_KILL.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def capabilities() -> frozenset[int]:
    """The numbers of this process's effective capabilities."""
    mask = int(_status("CapEff")[0], 16)
    return frozenset(n for n in range(64) if mask >> n & 1)


def _bound(last: int, kept: frozenset[int]) -> None:
    """Bounding set := `kept`, as far as it is in there; ambient := none."""
    for capability in range(last + 1):
        if capability not in kept and _prctl(_PR_CAPBSET_READ, capability):
            _prctl(_PR_CAPBSET_DROP, capability)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def _check(found: dict[str, list[str]], account: Account, kept: frozenset[int]) -> None:
    ids = [int(n) for n in found["Uid"] + found["Gid"]]
    mask = sum(1 << n for n in kept)
    sets = [int(found[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")]
    if (
        ids != [account.uid] * 4 + [account.gid] * 4
        or found["Groups"]
        or sets != [0, mask, mask, 0]
    ):
        raise RuntimeError(f"privileges are left after giving them up: {ids} {sets}")
    # Capabilities and filters are each thread's own.
    if found["Threads"] != ["1"]:
        raise RuntimeError("other threads still have the privileges that this one has given up")


def _status(name: str) -> list[str]:
    with open(_STATUS, encoding="ascii", errors="replace") as status:
        return _fields(status)[name]


def _fields(status: Iterable[str]) -> dict[str, list[str]]:
    parts = (line.partition(":") for line in status)
    return {name: value.split() for name, _, value in parts}


def _last_capability() -> int:
    with open(_LAST_CAP, encoding="ascii") as file:
        return int(file.read())


@functools.lru_cache(maxsize=1)
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    return libc


def _prctl(option: int, first: int, second: int = 0) -> int:
    result: int = _libc().prctl(option, first, second, 0, 0)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
    return result


def _capset(kept: frozenset[int]) -> None:
    """Effective and permitted := `kept`, inheritable := none, for this thread."""
    mask = sum(1 << n for n in kept)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # struct __user_cap_data_struct[2]: effective, permitted, inheritable; low words, then high.
    words = [(mask >> shift & 0xFFFFFFFF) for shift in (0, 0, 32, 32)]
    data = (ctypes.c_uint32 * 6)(words[0], words[1], 0, words[2], words[3], 0)
    if _libc().capset(header, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")
