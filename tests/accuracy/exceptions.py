"""What a back-end is known not to count exactly, and why that cannot be otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple


class Known(NamedTuple):
    """An exception. `backend`, `family` and `op` are patterns as the shell has them."""

    backend: str
    family: str
    op: str
    reason: str


_SYSCALL = "what moves bytes without a system call of its own for each operation is not seen"

_SPLICE = (
    "where the kernel has no kprobes, splice(2) is seen as a system call; io_uring's is none, and "
    "from these sockets it does not pass sock_recvmsg's tracepoint"
)

_POINTER = (
    "kernels before 5.17 do not let a trampoline read an argument that points to an int, as "
    "tcp_getsockopt has one"
)

_URING_ROOM = (
    "with MSG_TRUNC the tracepoint tells a datagram's whole length; how much room there was stands "
    "in io_uring's own memory, not in the registers of the call"
)

KNOWN = (
    Known("tracepoint", "tcp*", "uring-splice-from-socket", _SPLICE),
    Known("tracepoint", "mptcp*", "uring-splice-from-socket", _SPLICE),
    Known("tracepoint", "ktls*", "uring-splice-from-socket", _SPLICE),
    Known("tracepoint", "unix-stream", "uring-splice-from-socket", _SPLICE),
    Known("tracepoint", "*", "uring-*-trunc", _URING_ROOM),
    Known("fexit", "tcp*", "zerocopy-receive-*", _POINTER),
    Known("fexit", "attribution", "chosen-by-name-zerocopy", _POINTER),
    Known("syscall", "*", "uring-*", _SYSCALL),
    Known("syscall", "*", "aio-*", _SYSCALL),
)

_NOT_ASKED = (
    "all bytes are counted, but who sent the datagram is not known, as the call does not ask for "
    "it; where the kernel has kprobes, the tracepoint back-end knows it all the same"
)
#: Calls that receive and do not ask for the sender's address.
_PLAIN = (
    *("read", "readv", "preadv2", "recv", "recv-peeked", "recv-short", "recv-trunc"),
    *("recv-waitall", "recv-wait", "recv-half-efault", "splice-from-socket*", "aio-*"),
    *("uring-read*", "uring-recv", "uring-recv-*", "uring-splice-from-socket"),
)

#: Bytes exact, peer unknown.
NO_PEER = (
    *(Known("tracepoint", "*-unconnected", op, _NOT_ASKED) for op in _PLAIN),
    *(Known("syscall", "*-unconnected", op, _NOT_ASKED) for op in _PLAIN),
)


def known(backend: str, family: str, op: str) -> Known | None:
    """The exception that this operation falls under, or None."""
    return _find(KNOWN, backend, family, op)


def known_peer(backend: str, family: str, op: str) -> Known | None:
    """The exception that the peer of this operation falls under, or None."""
    return _find(NO_PEER, backend, family, op)


def _find(table: Iterable[Known], backend: str, family: str, op: str) -> Known | None:
    for each in table:
        patterns = ((backend, each.backend), (family, each.family), (op, each.op))
        if all(fnmatchcase(name, pattern) for name, pattern in patterns):
            return each
    return None
