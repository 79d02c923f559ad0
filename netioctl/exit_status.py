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
    #: Of `run`, whose own statuses those of its program must not be mistaken for.
    RUN_FAILED = 125
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
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
    ExitStatus.RUN_FAILED: "of run: netioctl failed; else run has its program's status",
    ExitStatus.NOT_EXECUTABLE: "of run: the program cannot be executed",
    ExitStatus.NOT_FOUND: "of run: the program is not found",
    ExitStatus.INTERRUPTED: "Ctrl+C before anything was watched",
    ExitStatus.STDOUT_CLOSED: "nobody reads stdout any more",
}
