"""Several runs of the matrix on one machine at the same time, and what they must not share."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x4000_0000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def own_network() -> None:
    """Move this process into a network of its own: raw sockets get what other runs send.

    Raises:
        OSError: the kernel does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"a network namespace: {os.strerror(number)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", _IFF_UP)  # struct ifreq
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


class Turns:
    """A lock file: what disturbs others runs while no other run does anything."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def join(self) -> None:
        """Begin something that may run while others do, too."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> None:
        """That is done."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until the others have ended what they joined for, or wait here, too."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
