"""The exit statuses of netioctl."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What netioctl ends with; `netioctl --help` lists them."""

    OK = 0
    #: Something failed; where several PIDs were given, at least one of them.
    FAILURE = 1
    USAGE = 2
    #: No daemon answers, or it went away.
    UNREACHABLE = 3
    #: Ctrl+C before there was anything to end (128 + SIGINT).
    INTERRUPTED = 130
    #: Whoever read stdout is gone, as after `| head` (128 + SIGPIPE).
    STDOUT_CLOSED = 141
