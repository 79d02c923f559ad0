"""Forked children, the signals that tell of them, and how long to wait before another try."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from types import TracebackType

_LOG = logging.getLogger("netiod.children")
_HANDLED = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))
#: A child that lived so many seconds failed for a new reason: its back-off begins anew.
_STABLE = 10.0


class Signals:
    """SIGTERM, SIGINT and SIGCHLD as numbers to read from a descriptor; SIGHUP is ignored."""

    def __enter__(self) -> Signals:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in _HANDLED:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable when there are numbers."""
        return self._reader.fileno()

    def read(self) -> frozenset[int]:
        """The numbers since the last call."""
        with contextlib.suppress(BlockingIOError):
            return frozenset(self._reader.recv(4096))
        return frozenset()


class Backoff:
    """Seconds to wait before the next try: `first`, then from 0.1 doubling up to 5."""

    def __init__(self, first: float) -> None:
        self._first = self._next = first

    def after(self, lived: float) -> float:
        """The wait after a try that held for `lived` seconds."""
        if lived >= _STABLE:
            self._next = self._first
        delay = self._next
        self._next = min(max(2 * delay, 0.1), 5.0)
        return delay


def prepare() -> None:
    """Before the first fork: what is there now stays shared with the children.

    The garbage collector would otherwise write to every page of theirs.
    """
    gc.collect()
    gc.freeze()


def fork(name: str, body: Callable[[], int], keep: Iterable[int]) -> int:
    """Run `body` in a child called `name` (at most 15 bytes); the child's PID.

    `body` gives the exit status. The child has the descriptors 0 to 2 and `keep`, no handler of
    ours, and ignores SIGINT: at a terminal Ctrl+C reaches it too, and the parent decides.

    Raises:
        OSError: there can be no other process now.
    """
    # A signal that came before the child has its own handling would run the parent's.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            _child(name, body, frozenset(keep), mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def set_name(name: str) -> None:
    """Name this process as ps and top show it (task_struct.comm, at most 15 bytes)."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(name)


def reap(pid: int) -> str | None:
    """How child `pid` ended, in words; None: it lives."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return "is gone"
    return describe(status) if found else None


def describe(status: int) -> str:
    """In words how a child ended: `status` is that of waitpid(2)."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def kill(pid: int, number: signal.Signals, uid: int = 0) -> None:
    """Send a signal to a child that has not been reaped; it may be `uid`'s by now.

    Root that was not given CAP_KILL reaches no process of another user, so it acts as that user
    meanwhile.
    """
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, number)
        except PermissionError:
            os.seteuid(uid)
            try:
                os.kill(pid, number)
            finally:
                os.seteuid(0)


def _child(name: str, body: Callable[[], int], keep: frozenset[int], mask: set[int]) -> None:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        set_name(name)
        _close_others(keep)
        status = body()
    except BaseException as error:  # noqa: BLE001
        # Whatever it is, the parent's code that stands below us on the stack must not see it.
        _LOG.error("%s failed: %s: %s", name, type(error).__name__, error)
        _LOG.debug("its traceback:", exc_info=True)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _close_others(keep: frozenset[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            # One of them was the listing's own.
            with contextlib.suppress(OSError):
                os.close(fd)


def _noted(_number: int, _frame: object) -> None:
    """The wake-up descriptor tells."""
