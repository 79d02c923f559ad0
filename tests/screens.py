"""A program on a pseudo-terminal, and what its screen shows, by a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

pyte = pytest.importorskip("pyte", reason="the package python3-pyte is not installed")

#: What keys send on the terminal that pyte is like.
UP, DOWN, LEFT, RIGHT, END, PAGE_DOWN = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C", "\x1b[4~", "\x1b[6~"
ENTER, ESCAPE = "\r", "\x1b"


class Terminal:
    """Runs `command` on a terminal of `size` (columns, lines).

    `pipes`: which of its descriptors (0, 1) are pipes all the same.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int] = (80, 24),
        *,
        piped: bool = False,
        **more: Any,
    ) -> None:
        self._lead, follow = pty.openpty()
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        #: All that it has sent to the terminal.
        self.sent = b""
        self._set_size(size)
        self.process = subprocess.Popen(
            list(command),
            stdin=follow,
            stdout=subprocess.PIPE if piped else follow,
            stderr=follow,
            env={"TERM": "linux", **environment},
            # A controlling terminal, for signals of its keys and of its size.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
            start_new_session=True,
            **more,
        )
        os.close(follow)

    def press(self, *keys: str) -> None:
        """Type these."""
        for key in keys:
            os.write(self._lead, key.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal another size; the kernel tells the program."""
        self._screen.resize(lines, columns)
        self._screen.reset()
        self._set_size((columns, lines))

    @property
    def lines(self) -> list[str]:
        """What is seen, without blanks at the ends of lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """What is seen."""
        return "\n".join(self.lines)

    def row(self, text: str) -> list[str]:
        """The words of the first line that has this text; none: empty."""
        return next((line.split() for line in self.lines if text in line), [])

    def until(self, condition: Any, seconds: float = 10.0) -> Any:
        """Read what is sent until `condition()`, or where it is a text until that is seen."""
        end = time.monotonic() + seconds
        while True:
            found = condition in self.text if isinstance(condition, str) else condition()
            if found:
                return found
            if time.monotonic() > end:
                pytest.fail(f"not seen: {condition!r}\n{self.text}")
            if not self._read(0.1) and self.process.poll() is not None:
                found = condition in self.text if isinstance(condition, str) else condition()
                return found or pytest.fail(f"ended without {condition!r}\n{self.text}")

    def end(self, *keys: str, seconds: float = 10.0) -> int:
        """Type these and read to the end; the exit status."""
        self.press(*keys)
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            self._read(0.05)
            if time.monotonic() > end:
                pytest.fail(f"still there\n{self.text}")
        while self._read(0):
            pass
        return self.process.returncode

    def close(self) -> None:
        """End the program, however it is."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self._lead)

    def hang_up(self) -> None:
        """The terminal goes, as when ssh loses its connection."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._lead)
        os.close(nowhere)

    def _set_size(self, size: tuple[int, int]) -> None:
        columns, lines = size
        fcntl.ioctl(self._lead, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._lead], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):  # nobody has the other side any more
            if data := os.read(self._lead, 65536):
                self.sent += data
                self._stream.feed(data)
                return True
        return False
