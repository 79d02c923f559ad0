"""What outlives a broker: whose processes are held, and how many events of each were taken.

Shared memory that the supervisor makes and never reads. A broker writes there what it is about
to take from the ring; its successor sees from the ring's position whether that was done, so an
event's index goes on where it was, however the first one ended.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: start (0: free), pid, ring position, index before it and from it on, uids, comm.
_ENTRY = struct.Struct("<QI4xQQQ4I16s")
_TAKEN = struct.Struct("<QQQ")
_TAKEN_AT = 16
_UIDS = struct.Struct("<4I")
_UIDS_AT = 40
#: Slots that were ever used, in the place of the first.
_USED = struct.Struct("<Q")
#: In place of uids that are not its own.
_NOBODY = (0xFFFFFFFF,) * 4
#: In place of a position: the process has exited, and all its events were taken.
_ENDED = (1 << 64) - 1
#: No other seal, no other size.
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class Entry(NamedTuple):
    """A process; `published` is the index of its next event, `ended`: it has exited.

    `uids`: real, effective, saved and file-system uid when it was attached; None: not its own
    any more.
    """

    pid: int
    start: int
    uids: tuple[int, int, int, int] | None
    comm: str
    published: int
    ended: bool


def create(max_pids: int) -> int:
    """The memory of a ledger, as a descriptor: of fixed size, all zero.

    Raises:
        OSError: there is none to be had.
    """
    fd = os.memfd_create("netio-ledger", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, _size(max_pids))
        # Else a broker that went wrong could cut it short under the next one.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


class Ledger:
    """The broker's side. `fd` is what create() made; None: nothing outlives this broker."""

    def __init__(self, fd: int | None, max_pids: int) -> None:
        self._map = mmap.mmap(-1 if fd is None else fd, _size(max_pids))
        self._slots: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._used: int = _USED.unpack_from(self._map)[0]

    def recover(self, position: int) -> Iterator[Entry]:
        """What an earlier broker left; `position` is how far it has read the ring."""
        for slot in range(1, self._used + 1):
            entry = _ENTRY.unpack_from(self._map, slot * _ENTRY.size)
            start, pid, taken, before, after, *uids, comm = entry
            if not start:
                self._free.append(slot)
                continue
            self._slots[pid, start] = slot
            ended = taken == _ENDED
            # What it was about to take when it died is still in the ring.
            published = after if ended or taken <= position else before
            name = comm.split(b"\0", 1)[0].decode("utf-8", "replace")
            own = None if tuple(uids) == _NOBODY else (uids[0], uids[1], uids[2], uids[3])
            yield Entry(pid, start, own, name, published, ended)

    def begin(
        self, pid: int, start: int, uids: tuple[int, int, int, int], comm: str, index: int = 0
    ) -> None:
        """A process is attached; `index` is that of its next event."""
        self.forget(pid, start)
        if self._free:
            slot = self._free.pop()
        elif (self._used + 2) * _ENTRY.size <= len(self._map):
            self._used = slot = self._used + 1
            _USED.pack_into(self._map, 0, self._used)
        else:
            # All processes that the kernel's maps can hold have a place: these are not there.
            return
        name = comm.encode("utf-8", "replace")[:16]
        at = slot * _ENTRY.size
        _ENTRY.pack_into(self._map, at, start, pid, 0, index, index, *uids, name)
        self._slots[pid, start] = slot

    def take(self, counts: Iterable[tuple[int, int, int, int]], position: int) -> None:
        """(pid, start, index, events): so many are taken when the ring is read to `position`."""
        for pid, start, index, events in counts:
            self._write(pid, start, position, index, index + events)

    def end(self, pid: int, start: int, published: int) -> None:
        """A process has exited; its totals stay for a while."""
        self._write(pid, start, _ENDED, published, published)

    def disown(self, pid: int, start: int) -> None:
        """A process is not its owner's any more."""
        slot = self._slots.get((pid, start))
        if slot is not None:
            _UIDS.pack_into(self._map, slot * _ENTRY.size + _UIDS_AT, *_NOBODY)

    def forget(self, pid: int, start: int) -> None:
        """A process is held no longer."""
        slot = self._slots.pop((pid, start), None)
        if slot is not None:
            self._map[slot * _ENTRY.size : (slot + 1) * _ENTRY.size] = bytes(_ENTRY.size)
            self._free.append(slot)

    def _write(self, pid: int, start: int, position: int, before: int, after: int) -> None:
        slot = self._slots.get((pid, start))
        if slot is not None:
            _TAKEN.pack_into(self._map, slot * _ENTRY.size + _TAKEN_AT, position, before, after)


def _size(max_pids: int) -> int:
    """As many slots as processes can be held, and again as many that have exited."""
    return (2 * max_pids + 2) * _ENTRY.size
