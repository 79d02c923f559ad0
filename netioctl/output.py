"""Where what netioctl has to say goes: data to stdout in large writes, all else to stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys

from netioctl.render.words import printable


class StdoutClosed(Exception):
    """Whoever read stdout is gone; there is nobody left to tell."""


class Output:
    """stdout, for data.

    Raises:
        StdoutClosed: here and in write(), there is no stdout, or nobody reads it any more.
    """

    def __init__(self) -> None:
        if sys.stdout is None:  # started with a closed descriptor 1: `>&-`
            raise StdoutClosed
        self._binary = sys.stdout.buffer
        self._encoding = sys.stdout.encoding or "utf-8"
        self._terminal = sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Write and flush; names in `text` must be printable already."""
        try:
            self._binary.write(text.encode(self._encoding, "backslashreplace"))
            self._binary.flush()
        except BrokenPipeError:
            raise StdoutClosed from None

    def width(self) -> int | None:
        """Columns of the terminal, or None where stdout is not one: then nothing is cut."""
        return max(1, shutil.get_terminal_size().columns) if self._terminal else None

    def pipe(self) -> int | None:
        """The descriptor to poll for POLLERR, which says that the reader has gone."""
        try:
            return None if self._terminal else self._binary.fileno()
        except OSError:  # not a file, as under a test
            return None


def say(text: str) -> None:
    """A line on stderr, with nothing in it that could steer a terminal."""
    # print(file=None) would go to stdout.
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nowhere to say it
            print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


def silence() -> None:
    """Point stdout to nowhere, so that flushing it at exit cannot fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
    finally:
        os.close(nowhere)


def chatty() -> bool:
    """Whether a person is likely to read stderr."""
    return sys.stderr is not None and sys.stderr.isatty()
