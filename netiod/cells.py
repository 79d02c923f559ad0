"""The cells of the processes that are counted: struct proc by PID.

The first half is the broker's: a process is in the cell of its PID's low bits, where the kernel
side looks first, or, if that is another's, in any that is free. The second half is for those that
the kernel side chooses by itself; the map `claims` says whose each cell is. The map `elsewhere`
has the cell of each process that is not in one of those of its PID's low bits.

A process that was chosen just when the broker put it in has a cell in each half; its counters
are their sum.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from netioctl.wire.layout import Struct
from netiod.fence import fence
from netiod.maps import Map, MapFull
from netiod.shared_array import SharedArray

_U32 = struct.Struct("<I")
_NOBODY = _U32.pack(0)
#: Seconds after which no program that was under way can still count in a cell.
_SETTLED = 1.0
_COUNTERS = ("sent_bytes", "recv_bytes", "send_ops", "recv_ops", "lost")


def number_of_cells(max_pids: int) -> int:
    """How many each half has for so many processes: a power of two."""
    return 1 << max(0, max_pids - 1).bit_length()


class Cells:
    """The maps `cells`, `elsewhere` and `claims`. The hook of exits takes processes out, too."""

    def __init__(self, cells: SharedArray, elsewhere: Map, claims: Map, proc: Struct) -> None:
        self._cells, self._elsewhere, self._claims = cells, elsewhere, claims
        self._proc = proc
        self._half = cells.number // 2
        self._tgid, self._flags = proc.offset("tgid"), proc.offset("flags")
        #: Cells of the second half that are to be emptied, and when (monotonic seconds).
        self._leaving: deque[tuple[float, int]] = deque()

    def __contains__(self, pid: int) -> bool:
        # Asked of every process each second: `elsewhere` is a call of the kernel.
        return bool(self._near(pid) or self._where(pid))

    def get(self, pid: int) -> dict[str, Any] | None:
        """The counters (struct proc) of a process that is in."""
        found = [each for at in self._where(pid) if (each := self._read(at, pid)) is not None]
        return _sum(found) if found else None

    def items(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(pid, counters) of all that are in."""
        by_pid: dict[int, list[dict[str, Any]]] = {}
        for at in range(self._cells.number):
            if (pid := self._owner(at)) and (found := self._read(at, pid)) is not None:
                by_pid.setdefault(pid, []).append(found)
        return ((pid, _sum(found)) for pid, found in by_pid.items())

    def put(self, pid: int, value: bytes) -> bool:
        """Put a process in, with a struct proc whose tgid is 0 still; False if it is in already.

        Raises:
            MapFull: no cell is free.
        """
        if pid in self:
            return False
        home = pid % self._half
        for at in (*range(home, self._half), *range(home)):
            if not self._owner(at):
                break
        else:
            raise MapFull(errno.E2BIG, os.strerror(errno.E2BIG))
        self._cells[at] = value
        # The hook of exits sees the whole or nothing.
        self._cells.set_word(at, self._tgid, pid)
        if at != home and not self._elsewhere.put(_U32.pack(pid), _U32.pack(at), new=True):
            # It was chosen meanwhile, and is counted there.
            self._cells.set_word(at, self._tgid, 0)
            return False
        return True

    def delete(self, pid: int) -> None:
        """Take a process out, if it is in."""
        where = self._where(pid)
        if where:
            self._elsewhere.delete(_U32.pack(pid))
        for at in where:
            if at >= self._half:
                # Nobody takes the cell up again until it is empty.
                self._claims.put(_U32.pack(at), _NOBODY)
                self._cells.set_word(at, self._flags, 0)
                self._leaving.append((time.monotonic() + _SETTLED, at))
            self._cells.set_word(at, self._tgid, 0)

    def settle(self) -> None:
        """Empty the cells of those that were taken out some time ago."""
        now = time.monotonic()
        while self._leaving and self._leaving[0][0] <= now:
            at = self._leaving.popleft()[1]
            self._cells[at] = bytes(self._cells.size)
            self._claims.delete(_U32.pack(at))

    def recover(self) -> None:
        """Take up what an earlier broker had not settled."""
        until = time.monotonic() + _SETTLED
        for slot, owner in list(self._claims.items()):
            if owner == _NOBODY:
                self._leaving.append((until, _U32.unpack(slot)[0]))

    def _read(self, at: int, pid: int) -> dict[str, Any] | None:
        """The counters in a cell, unless its process exits meanwhile."""
        found = self._proc.unpack(self._cells[at])
        fence()
        return found if self._owner(at) == pid else None

    def _owner(self, at: int) -> int:
        return self._cells.word(at, self._tgid)

    def _near(self, pid: int) -> list[int]:
        """The cells of its PID's low bits, as far as they are this process's."""
        home = pid % self._half
        return [at for at in (home, self._half + home) if self._owner(at) == pid]

    def _where(self, pid: int) -> list[int]:
        """All its cells."""
        found = self._near(pid)
        packed = self._elsewhere.get(_U32.pack(pid)) if len(found) < 2 else None
        if packed is not None:
            (at,) = _U32.unpack(packed)
            if at not in found and self._owner(at) == pid:
                found.append(at)
        return found


def _sum(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The counters of a process from all its cells."""
    first = found[0]
    if len(found) == 1:
        return first
    counters = {name: sum(each[name] for each in found) for name in _COUNTERS}
    return {**first, **counters, "since": min(each["since"] for each in found)}
