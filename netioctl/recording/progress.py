"""How a recording gets on: a line on stderr that is renewed, where that is a terminal."""

from __future__ import annotations

import contextlib
import math
import shutil
import sys
import time

from netioctl.recording.writer import Writer
from netioctl.render.words import cut, events, printable, short_size, span

_EVERY = 1.0


class Progress:
    """Shows what `writer` has written, once a second."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._began = time.monotonic()
        self._shown = False
        terminal = sys.stderr is not None and sys.stderr.isatty()
        #: When show() should be called next (monotonic seconds).
        self.due = self._began + _EVERY if terminal else math.inf

    def show(self, now: float) -> None:
        """Renew the line if it is time."""
        if now < self.due:
            return
        self.due = now + _EVERY
        width = shutil.get_terminal_size().columns - 1
        text = f"{span(now - self._began)}: {_state(self._writer)}"
        self._put(f"\r{cut(text, width):<{width}}\r{cut(text, width)}")
        self._shown = True

    def clear(self) -> None:
        """Make room for another line."""
        if self._shown:
            self._put("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self._shown = False

    @staticmethod
    def _put(text: str) -> None:
        with contextlib.suppress(OSError):  # nowhere to say it
            sys.stderr.write(text)
            sys.stderr.flush()


def recorded(writer: Writer, seconds: float, why: str) -> str:
    """The line at the end, and before it why there is one, if people do not know."""
    said = f"{why}\n" if why else ""
    return f"{said}recorded {_state(writer)} in {span(seconds)} to {printable(writer.path)}"


def _state(writer: Writer) -> str:
    lost = f", {events(writer.lost)} lost" if writer.lost else ", none lost"
    return (
        f"{events(writer.events)} ({short_size(writer.moved)} moved, file "
        f"{short_size(writer.size)}{lost})"
    )
