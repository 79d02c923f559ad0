"""A terminal, written to no faster than it shows: what waits in the kernel only becomes old."""

from __future__ import annotations

import math
import os
import select
import time

#: Bytes that are on their way at once: at first, of a terminal that may be slow, and of one that
#: is fast. The kernel has room for more, but tells when it is empty only up to _EXACT.
_FIRST, _LEAST, _EXACT, _MOST = 2048, 512, 4000, 16_384
#: As many more where there is doubt whether it is empty.
_LITTLE = 128
#: Seconds in which a terminal should show what is on its way, and in which a fast one does.
_AIM, _FAST = 0.15, 0.05
#: Seconds without a word after which it is tried with a few bytes more: the first time at least
#: and at most, as it is quick or slow, and ever.
_DOUBT, _DOUBT_FIRST, _DOUBT_MOST = 0.02, 0.2, 2.0
_PTS_MAJORS = range(136, 144)


class Terminal:
    """Paces writes to descriptor `stdout` by when the terminal has shown what came before.

    There is no asking a pseudo-terminal how much of its buffer, some 18 KB, is still to be
    shown, and room is no sign that it is little. But whoever writes is woken when its
    reader has come to the end, which epoll tells as an edge. Other kinds are writable only when
    next to nothing waits.
    """

    def __init__(self, stdout: int) -> None:
        self._fd = _own(stdout)
        edge = os.major(os.fstat(stdout).st_rdev) in _PTS_MAJORS
        self._epoll = select.epoll()
        self._epoll.register(self._fd, select.EPOLLOUT | (select.EPOLLET if edge else 0))
        self._window, self._sent = _FIRST, 0
        self._began = self._asked = 0.0
        self._doubt, self._took = _DOUBT, 0.0

    def close(self) -> None:
        """Leave stdout as it was."""
        self._epoll.close()
        os.close(self._fd)

    def fileno(self) -> int:
        """Readable when room() may have grown."""
        return self._epoll.fileno()

    @property
    def due(self) -> float:
        """When room() may have grown although fileno() has not told so (monotonic seconds)."""
        return self._asked + self._doubt if self._sent >= self._window else math.inf

    def room(self) -> int:
        """Bytes that it is time to write."""
        now = time.monotonic()
        if self._epoll.poll(0):
            self._empty(now)
        elif now >= self.due:
            # Its word may have come together with that of our own write, and been taken for it.
            self._asked, self._doubt = now, min(2 * self._doubt, _DOUBT_MOST)
            return _LITTLE
        return max(0, self._window - self._sent)

    def write(self, data: bytes) -> int:
        """How many of these bytes the terminal took.

        Raises:
            OSError: it is gone.
        """
        now = time.monotonic()
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            taken = 0
        # The end of a write is told as if the terminal had become ready.
        self._epoll.poll(0)
        if not self._sent:
            self._began = now
        before, self._sent = self._sent, self._sent + taken
        if taken < len(data):
            self._sent = max(self._sent, self._window)
        if before < self._window <= self._sent:
            self._asked, self._doubt = now, min(_DOUBT + 2 * self._took, _DOUBT_FIRST)
        return taken

    def _empty(self, now: float) -> None:
        if self._sent >= self._window:
            self._took = min(now - self._began, _DOUBT_MOST)
            if self._took < _FAST:
                self._window = min(2 * self._window, _MOST)
            else:
                aim = int(self._window * _AIM / self._took)
                self._window = max(_LEAST, min(aim, _EXACT))
        self._sent = 0


def _own(stdout: int) -> int:
    """The terminal opened anew, since to be non-blocking concerns all who share a descriptor.

    Where that is not allowed, as after su, a write waits if somebody else fills the terminal.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{stdout}", flags)
    except OSError:
        return os.dup(stdout)
