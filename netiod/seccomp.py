"""Filters of system calls, by libseccomp: which calls are which number, and how to write the BPF
program, is that library's business. Manual pages: seccomp(2), seccomp_rule_add(3).

ctypes and not the distributions' Python binding, which not all of them have. What is allowed
to whom: syscalls.py.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

#: Debian's and Fedora's packages are libseccomp2 and libseccomp.
LIBRARY = "libseccomp.so.2"

# <seccomp.h>: actions, attributes, and enum scmp_compare.
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_ACT_BADARCH, _CTL_NNP, _CTL_SSB = 2, 3, 7
_MASKED_EQ = 7


class _ArgCmp(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class Is(NamedTuple):
    """`mask` of argument number `arg`, from 0, is `value`. Most arguments are ints, of whose
    register the kernel takes no more than the lower half either."""

    arg: int
    value: int
    mask: int = 0xFFFFFFFF


class Rule(NamedTuple):
    """System calls by name, whose arguments are as `when` says; what the kernel or the
    architecture does not have is passed over."""

    names: str
    when: tuple[Is, ...] = ()


class Filter(NamedTuple):
    """`default` and `refused` are error numbers; a default of 0 allows."""

    default: int
    allowed: tuple[Rule, ...] = ()
    #: Calls that are answered as if they had been made; as if the kernel did not know them.
    done: str = ""
    unknown: str = ""
    refused: str = ""
    #: Calls that end the process.
    deadly: str = ""


class SeccompError(OSError):
    """The filter cannot be made or loaded; `errno` says why."""


def load(wanted: Filter) -> None:
    """Put this thread, and what it forks and starts, under `wanted` for good.

    Raises:
        SeccompError: the kernel has no filters, or refuses.
    """
    lib = _library()
    context = lib.seccomp_init(_ERRNO | wanted.default if wanted.default else _ALLOW)
    if not context:
        raise SeccompError(errno.ENOMEM, "seccomp_init failed")
    try:
        # A call by another of the machine's conventions (32-bit, x32) is nothing but an attack.
        _done("attr", lib.seccomp_attr_set(context, _ACT_BADARCH, _KILL_PROCESS))
        # privileges.py has set it.
        _done("attr", lib.seccomp_attr_set(context, _CTL_NNP, 0))
        # Before 5.16 a filter slows the process down by mitigations that are for those who run code
        # of strangers. A library before 2.5 does not know of it.
        lib.seccomp_attr_set(context, _CTL_SSB, 1)
        for rule in wanted.allowed:
            _add(context, _ALLOW, rule.names.split(), rule.when)
        _add(context, _ERRNO, wanted.done.split())
        _add(context, _ERRNO | errno.ENOSYS, wanted.unknown.split())
        _add(context, _ERRNO | errno.EPERM, wanted.refused.split())
        _add(context, _KILL_PROCESS, wanted.deadly.split())
        _done("load", lib.seccomp_load(context))
    finally:
        lib.seccomp_release(context)


def prepare() -> None:
    """Load the library while its file can be reached.

    Raises:
        OSError: it is not installed.
    """
    _library()


def _add(context: int, action: int, names: Iterable[str], when: tuple[Is, ...] = ()) -> None:
    lib = _library()
    compared = (_ArgCmp * len(when))(*(_ArgCmp(c.arg, _MASKED_EQ, c.mask, c.value) for c in when))
    for name in names:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        # Negative: this library does not know the name, or this architecture lacks the call.
        if number >= 0:
            added = lib.seccomp_rule_add_array(context, action, number, len(when), compared)
            _done(name, added)


def _done(what: str, result: int) -> None:
    if result < 0:
        raise SeccompError(-result, f"libseccomp refuses {what}: {os.strerror(-result)}")


@functools.lru_cache(maxsize=1)
def _library() -> Any:
    lib = ctypes.CDLL(LIBRARY)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_void_p,
    ]
    lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    lib.seccomp_load.argtypes = lib.seccomp_release.argtypes = [ctypes.c_void_p]
    lib.seccomp_release.restype = None
    return lib
