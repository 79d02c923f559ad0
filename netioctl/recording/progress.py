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


class Line:
    """A line on stderr that is renewed at most once a second, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = False
        terminal = sys.stderr is not None and sys.stderr.isatty()
        #: When show() should be called next (monotonic seconds).
        self.due = time.monotonic() + _EVERY if terminal else math.inf

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Renew the line if it is time."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + _EVERY
        width = shutil.get_terminal_size().columns - 1
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


class Progress(Line):
    """Shows what `writer` has written."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer
        self._began = time.monotonic()

    def tell(self, now: float) -> None:
        """Renew the line if it is time."""
        if now >= self.due:
            self.show(f"{span(now - self._began)}: {_state(self._writer)}")


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
