"""What C libraries print to descriptor 2 while programs are loaded, and may say before they die."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

_MOST = 1 << 20


class Words:
    """A file in memory, which the loader's parent reads when the loader has died."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("netiod-words", os.MFD_CLOEXEC)

    def fileno(self) -> int:
        """The file's descriptor."""
        return self._fd

    def close(self) -> None:
        """Nobody is going to ask."""
        os.close(self._fd)

    @contextlib.contextmanager
    def caught(self) -> Iterator[Callable[[], str]]:
        """Have descriptor 2 go there, from nothing on; yields a function that reads it."""
        kept = os.dup(2)
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.dup2(self._fd, 2)
        try:
            yield self.read
            # What follows is printed elsewhere, so these were not the last words.
            os.ftruncate(self._fd, 0)
        finally:
            os.dup2(kept, 2)
            os.close(kept)

    def read(self) -> str:
        """All that is there."""
        return os.pread(self._fd, _MOST, 0).decode("utf-8", "replace")

    def last(self) -> str:
        """The last line, printable; "" if there is none."""
        lines = [line.strip() for line in self.read().splitlines()]
        line = next((line for line in reversed(lines) if line), "")
        return "".join(c if c.isprintable() else "?" for c in line[:200])
