"""Who is at the other end of a unix socket, as the kernel says."""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from netiod.policy import Caller, is_operator

#: struct ucred of <linux/socket.h>: pid, uid, gid.
_UCRED = struct.Struct("=iII")
_SO_PEERGROUPS = 59
#: NGROUPS_MAX: Python's own getsockopt() takes 1,024 bytes, which is fewer.
_MAX_GROUPS = 65536
_libc = ctypes.CDLL(None, use_errno=True)


def caller_of(sock: socket.socket, operators: int | None) -> Caller:
    """Who connected, with the groups they were in then; `operators`: that group's gid.

    Raises:
        OSError: the kernel does not say.
    """
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Caller(pid, uid, is_operator(uid, _groups(sock) | {gid}, operators))


def _groups(sock: socket.socket) -> frozenset[int]:
    groups = (ctypes.c_uint32 * _MAX_GROUPS)()
    size = ctypes.c_uint32(ctypes.sizeof(groups))
    failed = _libc.getsockopt(
        sock.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, groups, ctypes.byref(size)
    )
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return frozenset(groups[: size.value // 4])
