"""Who is at the other end of a unix socket, as the kernel says."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from netiod import policy

#: struct ucred of <linux/socket.h>: pid, uid, gid.
_UCRED = struct.Struct("=iII")
_SO_PEERGROUPS = 59
#: Groups that are asked for first: few have more. NGROUPS_MAX: nobody has.
_GROUPS, _MAX_GROUPS = 32, 65536
_libc = ctypes.CDLL(None, use_errno=True)


def credentials(sock: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, gid) of who connected.

    Raises:
        OSError: the kernel does not say.
    """
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return pid, uid, gid


def is_operator(sock: socket.socket, uid: int, gid: int, operators: int | None) -> bool:
    """Whether they were an operator when they connected; `operators`: that group's gid.

    Raises:
        OSError: the kernel does not say.
    """
    if uid == 0 or operators is None:
        return policy.is_operator(uid, frozenset(), operators)
    return policy.is_operator(uid, _groups(sock) | {gid}, operators)


def _groups(sock: socket.socket, room: int = _GROUPS) -> frozenset[int]:
    # Python's own getsockopt() takes 1,024 bytes, which may be too few.
    groups = (ctypes.c_uint32 * room)()
    size = ctypes.c_uint32(ctypes.sizeof(groups))
    failed = _libc.getsockopt(
        sock.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, groups, ctypes.byref(size)
    )
    if failed:
        code = ctypes.get_errno()
        if code == errno.ERANGE and room < _MAX_GROUPS:
            return _groups(sock, _MAX_GROUPS)
        raise OSError(code, os.strerror(code))
    return frozenset(groups[: size.value // 4])
