"""BPF ring buffers, read in bulk from their mapped pages, without a call for each record.

Layout (kernel/bpf/ringbuf.c): one page that holds the consumer's position, one that holds the
producer's, then the data, which the kernel maps twice in a row so that a record is never broken
at the end. A record is an 8-byte header (u32: length, with bits for "busy" and "discarded"; u32:
page offset) and its data, padded to 8 bytes. Positions are byte counts that only grow.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from netiod.fence import fence

_HEADER = 8
_BUSY, _DISCARDED = 1 << 31, 1 << 30
_LENGTH = _DISCARDED - 1


class Ring:
    """A ring of `size` bytes (a power of two, at least a page) behind descriptor `fd`.

    One reader at a time: the consumer's position lives in the ring itself, so a reader that
    dies leaves it to the next where it was.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        page = mmap.PAGESIZE
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._map = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        # Casts to "Q" are read and written as one aligned word, which struct would not promise.
        self._consumer = memoryview(self._consumer_map)[:8].cast("Q")
        self._producer = memoryview(self._map)[:8].cast("Q")
        self._data = memoryview(self._map)[page:]

    def __len__(self) -> int:
        """Bytes between the positions."""
        return self._producer[0] - self._consumer[0]

    @property
    def position(self) -> int:
        """How far the ring has been read, by this reader and those before: bytes."""
        return self._consumer[0]


class EventRing(Ring):
    """A ring whose records all have `record` bytes (a multiple of 8): an array, then."""

    def __init__(self, fd: int, size: int, record: int) -> None:
        super().__init__(fd, size)
        self._stride = _HEADER + record

        self._record = record
        #: The position that release() sets.
        self.next = self.position
        #: Whether the last drain() found no room left: without that no event was lost before it.
        self.was_full = False
        self._none = np.empty((0, record // 4), np.uint32)

    def drain(self, most: int) -> npt.NDArray[np.uint32]:
        """Up to `most` finished records: a copy, shape (n, record / 4), in 4-byte words.

        They stay in the ring until release().
        """
        consumer = self._consumer[0]
        available = self._producer[0] - consumer
        self.was_full = available + self._stride > self.size
        n = min(available // self._stride, most)
        self.next = consumer
        if not n:
            return self._none
        fence()
        start = consumer & (self.size - 1)
        # Records are finished from the front up to the first whose busy bit, the sign of its
        # header's first word, is still set. None is ever discarded.
        heads: npt.NDArray[np.int32] = np.ndarray(n, "<i4", self._data, start, self._stride)
        if heads.min() < 0:
            n = int((heads < 0).argmax())
        fence()
        opaque = f"V{self._record}"
        records: npt.NDArray[np.void] = np.ndarray(
            n, opaque, self._data, start + _HEADER, self._stride
        ).copy()
        self.next = consumer + n * self._stride
        return records.view("<u4").reshape(n, self._record // 4)

    def release(self) -> None:
        """Take what drain() gave out of the ring."""
        fence()
        self._consumer[0] = self.next


class MetaRing(Ring):
    """A ring of few records of several sizes."""

    def records(self) -> Iterator[bytes]:
        """Take every finished record."""
        while True:
            consumer = self._consumer[0]
            if consumer >= self._producer[0]:
                return
            fence()
            start = consumer & (self.size - 1)
            (head,) = struct.unpack_from("<I", self._data, start)
            if head & _BUSY:
                return
            fence()
            length = head & _LENGTH
            record = bytes(self._data[start + _HEADER : start + _HEADER + length])
            self._consumer[0] = consumer + _HEADER + -(-length // 8) * 8
            if not head & _DISCARDED:
                yield record
