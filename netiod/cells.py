"""The cells of the processes that are counted: struct proc by PID.

A process is in the cell of its PID's low bits, where the kernel side looks first, or, if that is
another's, in any that is free, and the map `elsewhere` says in which.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import Any

from netioctl.wire.layout import Struct
from netiod.maps import Map, MapFull
from netiod.shared_array import SharedArray

_U32 = struct.Struct("<I")


def number_of_cells(max_pids: int) -> int:
    """How many there are for so many processes: a power of two."""
    return 1 << max(0, max_pids - 1).bit_length()


class Cells:
    """The maps `cells` and `elsewhere`. Only the broker puts processes in; the hook of exits takes
    them out, too."""

    def __init__(self, cells: SharedArray, elsewhere: Map, proc: Struct) -> None:
        self._cells, self._elsewhere, self._proc = cells, elsewhere, proc
        self._tgid = proc.offset("tgid")

    def __contains__(self, pid: int) -> bool:
        return self._where(pid) is not None

    def get(self, pid: int) -> dict[str, Any] | None:
        """The counters (struct proc) of a process that is in."""
        at = self._where(pid)
        return None if at is None else self._proc.unpack(self._cells[at])

    def items(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(pid, counters) of all that are in."""
        for at in range(self._cells.number):
            if pid := self._owner(at):
                yield pid, self._proc.unpack(self._cells[at])

    def put(self, pid: int, value: bytes) -> bool:
        """Put a process in, with a struct proc whose tgid is 0 still; False if it is in already.

        Raises:
            MapFull: no cell is free.
        """
        if pid in self:
            return False
        number = self._cells.number
        home = pid % number
        for at in (*range(home, number), *range(home)):
            if not self._owner(at):
                break
        else:
            raise MapFull(errno.E2BIG, os.strerror(errno.E2BIG))
        self._cells[at] = value
        # The hook of exits sees the whole or nothing.
        self._cells.set_word(at, self._tgid, pid)
        if at != home:
            self._elsewhere.put(_U32.pack(pid), _U32.pack(at))
        return True

    def delete(self, pid: int) -> None:
        """Take a process out, if it is in."""
        at = self._where(pid)
        if at is not None:
            self._elsewhere.delete(_U32.pack(pid))
            self._cells.set_word(at, self._tgid, 0)

    def _owner(self, at: int) -> int:
        return self._cells.word(at, self._tgid)

    def _where(self, pid: int) -> int | None:
        home = pid % self._cells.number
        if self._owner(home) == pid:
            return home
        packed = self._elsewhere.get(_U32.pack(pid))
        if packed is None:
            return None
        (at,) = _U32.unpack(packed)
        return at if self._owner(at) == pid else None
