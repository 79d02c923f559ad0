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


def find_group(name: str) -> int | None:
    """The gid of a group, or None."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def drop(account: Account, keep: Iterable[int] = ()) -> None:
    """Become `account` for good, without groups or capabilities other than `keep` (numbers).

    Raises:
        OSError: the kernel refused a step.
        RuntimeError: it agreed, yet privileges are left.
    """
    kept = frozenset(keep)
    for capability in range(_last_capability() + 1):
        if _prctl(_PR_CAPBSET_READ, capability):
            _prctl(_PR_CAPBSET_DROP, capability)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _prctl(_PR_SET_KEEPCAPS, 1 if kept else 0)
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    _capset(kept)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # No core dumps, and no other process of this user may look inside.
    _prctl(_PR_SET_DUMPABLE, 0)
    _check(account, kept)


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask for signal `number` when process `parent` dies; end at once if it has already.

    To be called after drop(): a change of uid cancels it.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def capabilities() -> frozenset[int]:
    """The numbers of this process's effective capabilities."""
    mask = int(_status("CapEff")[0], 16)
    return frozenset(n for n in range(64) if mask >> n & 1)


def _check(account: Account, kept: frozenset[int]) -> None:
    ids = [account.uid] * 4 + [account.gid] * 4
    found = [int(n) for n in _status("Uid") + _status("Gid")]
    mask = sum(1 << n for n in kept)
    sets = [int(_status(name)[0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")]
    if found != ids or _status("Groups") or sets != [0, mask, mask, 0]:
        raise RuntimeError(f"privileges are left after giving them up: {found} {sets}")


def _status(name: str) -> list[str]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key == name:
                return value.split()
    raise RuntimeError(f"/proc/self/status has no {name}")


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
