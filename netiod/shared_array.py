"""A BPF array whose elements are read and written in memory that the kernel side shares."""

from __future__ import annotations

import mmap

from netiod.fence import fence


class SharedArray:
    """An array map made with BPF_F_MMAPABLE: `number` elements of `size` bytes, a multiple of 8."""

    def __init__(self, fd: int, size: int, number: int) -> None:
        self.size, self.number = size, number
        pages = -(-number * size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(fd, pages, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._words = memoryview(self._memory).cast("Q")

    def __getitem__(self, index: int) -> bytes:
        """A copy of an element."""
        return self._memory[index * self.size : (index + 1) * self.size]

    def __setitem__(self, index: int, value: bytes) -> None:
        """Store an element, not at once: the kernel side must not use it meanwhile."""
        self._memory[index * self.size : (index + 1) * self.size] = value

    def word(self, index: int, offset: int) -> int:
        """The 8-byte number at `offset` in an element, a multiple of 8."""
        return int(self._words[(index * self.size + offset) // 8])

    def set_word(self, index: int, offset: int, value: int) -> None:
        """Set such a number at once; what was stored before is seen before."""
        fence()
        self._words[(index * self.size + offset) // 8] = value
