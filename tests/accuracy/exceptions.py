"""What a back-end is known not to count exactly, and why that cannot be otherwise."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple


class Known(NamedTuple):
    """An exception. `backend`, `family` and `op` are patterns as the shell has them."""

    backend: str
    family: str
    op: str
    reason: str


_ZEROCOPY = (
    "getsockopt(TCP_ZEROCOPY_RECEIVE) maps or copies data inside TCP itself, past every function "
    "that the hooks stand on"
)
_SYSCALL = "what moves bytes without a system call of its own for each operation is not seen"

_SPLICE = (
    "splice(2) from these into a pipe calls neither sock_recvmsg nor its tracepoint; from others "
    "it does"
)

_URING_ROOM = (
    "with MSG_TRUNC the tracepoint tells a datagram's whole length; how much room there was stands "
    "in io_uring's own memory, not in the registers of the call"
)

KNOWN = (
    Known("*", "tcp*", "zerocopy-receive-*", _ZEROCOPY),
    Known("tracepoint", "tcp*", "*splice-from-socket*", _SPLICE),
    Known("tracepoint", "ktls*", "*splice-from-socket*", _SPLICE),
    Known("tracepoint", "unix-stream", "*splice-from-socket*", _SPLICE),
    Known("tracepoint", "*", "uring-*-trunc", _URING_ROOM),
    Known("syscall", "*", "uring-*", _SYSCALL),
    Known("syscall", "*", "aio-*", _SYSCALL),
)


def known(backend: str, family: str, op: str) -> Known | None:
    """The exception that this operation falls under, or None."""
    for each in KNOWN:
        patterns = ((backend, each.backend), (family, each.family), (op, each.op))
        if all(fnmatchcase(name, pattern) for name, pattern in patterns):
            return each
    return None
