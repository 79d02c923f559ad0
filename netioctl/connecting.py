"""Reaching the control socket, and why it cannot be reached."""

from __future__ import annotations

import errno
import os
import socket
import struct

from netioctl.wire.errors import DaemonUnreachable


def connect(path: str, timeout: float, *, wait: bool = True) -> socket.socket:
    """A connection to the socket at `path`; each wait on it takes at most `timeout` seconds.

    Such a wait ends in BlockingIOError. Where the queue of the socket is full, it is waited for
    only with `wait`.

    Raises:
        DaemonUnreachable: it cannot be had; says what may be the cause, and how to check.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # The kernel's own time-outs, since they also hold for connecting to a socket whose queue is
    # full, which a non-blocking connect() refuses at once.
    seconds, fraction = divmod(timeout, 1.0)
    timeval = struct.pack("ll", int(seconds), int(fraction * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    try:
        connection.setblocking(wait)
        connection.connect(path)
        connection.setblocking(True)
    except OSError as error:
        connection.close()
        raise DaemonUnreachable(_why_unreachable(path, error, timeout)) from error
    return connection


def _why_unreachable(path: str, error: OSError, timeout: float) -> str:
    directory = os.path.dirname(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return (
            f"cannot reach netiod: {path} does not exist\n"
            "netiod is not started (check: systemctl status netiod) or uses another run "
            f"directory (check: ls {directory}; choose: --run-dir DIR)"
        )
    if error.errno == errno.ECONNREFUSED:
        return (
            f"cannot reach netiod: nobody listens at {path}\n"
            "netiod has crashed or was killed and left its socket behind (check: systemctl "
            "status netiod), or another one runs elsewhere (choose: --run-dir DIR)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"cannot reach netiod: no permission to connect to {path}\n"
            f"every user should have it (check: ls -ld {directory} {path})"
        )
    if error.errno == errno.EAGAIN:
        return (
            f"cannot reach netiod: {path} has not taken the connection for {timeout:g} s\n"
            "netiod may be stopped or overloaded (check: systemctl status netiod)"
        )
    if error.errno is None:
        # Python itself refuses a path that does not fit struct sockaddr_un.
        return f"cannot reach netiod: {path} is too long for a socket: at most 107 bytes"
    return f"cannot reach netiod: {path}: {error.strerror or error} (check: ls -l {path})"
