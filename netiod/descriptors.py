"""Messages with descriptors over SOCK_SEQPACKET pairs: one sent is one received."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable

from netioctl.wire.errors import ProtocolError


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, close-on-exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


def send(sock: socket.socket, data: bytes, fds: Iterable[int] = ()) -> None:
    """Send `data` as one message, and with it copies of `fds`.

    Raises:
        BlockingIOError: the other side has not read what was sent before.
        OSError: it is gone.
    """
    numbers = array.array("i", fds)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if numbers else []
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """One message of at most `size` bytes with at most `most` descriptors, close-on-exec.

    An empty one means that the other side is gone.

    Raises:
        BlockingIOError: there is none yet.
        ProtocolError: it has more of either; nothing of it is kept.
    """
    fds = array.array("i")
    space = socket.CMSG_SPACE(most * fds.itemsize) if most else 0
    try:
        data, ancillary, flags, _ = sock.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        # It died with messages unread.
        return b"", []
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    # Alignment may leave room for one descriptor more than was asked for.
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(fds) > most:
        close(fds)
        raise ProtocolError("a message that is too long or carries too many descriptors")
    return data, fds.tolist()


def close(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
