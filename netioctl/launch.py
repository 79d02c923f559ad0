"""A program that is started, but does not run before it is told to."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netioctl.exit_status import ExitStatus
from netioctl.output import say

if TYPE_CHECKING:
    from types import TracebackType

#: What Python changes at its start and a program expects to find unchanged.
_PYTHONS = (signal.SIGPIPE, signal.SIGXFSZ)


class Launch:
    """A child that becomes `command` on start(); without that it ends with this."""

    def __init__(self, command: Sequence[str]) -> None:
        self._name = command[0]
        # Both close when the child becomes another program.
        go, self._go = os.pipe()
        self._told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _child(go, tell, (self._go, self._told), command)
        os.close(go)
        os.close(tell)
        #: Readable when the child has ended.
        self.descriptor = os.pidfd_open(self.pid)
        self._status: int | None = None

    def __enter__(self) -> Launch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._go >= 0:
            os.close(self._go)
            self.wait()
        os.close(self._told)
        os.close(self.descriptor)

    def start(self) -> int | None:
        """Let it run; an exit status, and a line that says why, if it cannot."""
        os.write(self._go, b"!")
        os.close(self._go)
        self._go = -1
        told = os.read(self._told, 16)
        if not told:
            return None
        self.wait()
        code = int(told)
        if code in (errno.ENOENT, errno.ENOTDIR):
            say(f"netioctl: {self._name}: command not found")
            return ExitStatus.NOT_FOUND
        say(f"netioctl: {self._name}: {os.strerror(code)}")
        return ExitStatus.NOT_EXECUTABLE

    def wait(self) -> int:
        """Its exit status as a shell tells it; waits for its end."""
        if self._status is None:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self._status = 128 - code if code < 0 else code
        return self._status


def _child(go: int, tell: int, ours: Sequence[int], command: Sequence[str]) -> None:
    """Wait for the word, then become `command`. Does not return."""
    try:
        for descriptor in ours:
            os.close(descriptor)
        for number in _PYTHONS:
            signal.signal(number, signal.SIG_DFL)
        if os.read(go, 1):
            try:
                os.execvp(command[0], list(command))
            except OSError as error:
                os.write(tell, str(error.errno).encode())
            except ValueError:
                os.write(tell, str(errno.EINVAL).encode())
    finally:
        os._exit(ExitStatus.NOT_EXECUTABLE)
