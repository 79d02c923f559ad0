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


#: As --help, the manual pages and README say it.
MEANINGS = {
    ExitStatus.OK: "done",
    ExitStatus.FAILURE: "something failed, with several PIDs at least one of them",
    ExitStatus.USAGE: "wrong usage",
    ExitStatus.UNREACHABLE: "the daemon cannot be reached or went away",
    ExitStatus.INTERRUPTED: "Ctrl+C before anything was watched",
    ExitStatus.STDOUT_CLOSED: "nobody reads stdout any more",
}
