"""Where what netioctl has to say goes: data to stdout in large writes, all else to stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys

from netioctl.render.words import ELLIPSIS, printable


class StdoutClosed(Exception):
    """Whoever read stdout is gone; there is nobody left to tell."""


def ensure_stdout() -> None:
    """Where there is no stdout (`>&-`), make one that nobody reads.

    That keeps descriptor 1 from becoming a socket, to which a write would then go.
    """
    if sys.stdout is None:
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        for descriptor in {reader, writer} - {1}:
            os.close(descriptor)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 # as it was


class Output:
    """stdout, for data."""

    def __init__(self) -> None:
        self._binary = sys.stdout.buffer
        self._encoding = sys.stdout.encoding or "utf-8"
        self._terminal = sys.stdout.isatty()

    def write(self, text: str) -> None:
        """Write and flush; names in `text` must be printable already.

        Raises:
            StdoutClosed: nobody reads it any more.
        """
        self.write_bytes(self.encode(text))

    def write_bytes(self, data: bytes) -> None:
        """Write and flush what encode() made."""
        try:
            self._binary.write(data)
            self._binary.flush()
        except BrokenPipeError:
            raise StdoutClosed from None

    def encode(self, text: str) -> bytes:
        """`text` as stdout's reader understands it."""
        try:
            return text.encode(self._encoding)
        except UnicodeEncodeError:
            # As wide as what it stands for.
            text = text.replace(ELLIPSIS, "~")
            return text.encode(self._encoding, "backslashreplace")

    def terminal(self) -> int | None:
        """The descriptor of stdout where that is a terminal, else None."""
        return self._binary.fileno() if self._terminal else None

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
    os.dup2(nowhere, 1)
    if nowhere != 1:
        os.close(nowhere)
