"""Landlock: rules for files, sockets and other processes that a process makes for itself, for
good. It takes no privilege. Manual page: landlock(7); numbers: <linux/landlock.h>.

Beyond what a root directory of its own and the filter of system calls achieve, it holds for
descriptors of directories that somebody else opened, and for other processes of the same user.
"""

from __future__ import annotations

import ctypes
import os
import struct

#: The same on every architecture.
_NR_CREATE_RULESET, _NR_ADD_RULE, _NR_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
#: LANDLOCK_ACCESS_FS_*: how many there are as of each version; each brings the ones before.
_ACCESSES = {1: 13, 2: 14, 3: 15, 5: 16}
#: Version 4: TCP bind and connect. Version 6: abstract unix sockets, signals.
_ALL_NET, _ALL_SCOPES = 3, 3
_libc = ctypes.CDLL(None, use_errno=True)


def restrict(readable: str | None) -> bool:
    """Leave this thread, which cannot gain privileges any more (PR_SET_NO_NEW_PRIVS), nothing of
    the file system but reading below `readable`; no TCP, and no signals to or ptrace of others.

    False: this kernel has no Landlock (before 5.13, or it is switched off).

    Raises:
        OSError: it has, and refused.
    """
    version = int(_libc.syscall(_NR_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION))
    if version < 1:
        return False
    accesses = max(n for since, n in _ACCESSES.items() if since <= version)
    # struct landlock_ruleset_attr: what a version does not know may not be there.
    words = [(1 << accesses) - 1]
    words += [_ALL_NET] if version >= 4 else []
    words += [_ALL_SCOPES] if version >= 6 else []
    attr = struct.pack(f"={len(words)}Q", *words)
    rules = _call(_NR_CREATE_RULESET, attr, len(attr), 0)
    try:
        if readable is not None:
            top = os.open(readable, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # struct landlock_path_beneath_attr, packed.
                rule = struct.pack("=Qi", _READ_FILE | _READ_DIR, top)
                _call(_NR_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0)
            finally:
                os.close(top)
        _call(_NR_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return True


def _call(number: int, *arguments: bytes | int) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{_NAMES[number]}: {os.strerror(code)}")
    return result


_NAMES = {
    _NR_CREATE_RULESET: "landlock_create_ruleset",
    _NR_ADD_RULE: "landlock_add_rule",
    _NR_RESTRICT_SELF: "landlock_restrict_self",
}
