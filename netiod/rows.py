"""The rows of connections: struct conn by struct conn_key, counted in memory that is shared with
the kernel side."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from netiod.maps import Map, Stack
from netiod.shared_array import SharedArray

_U32 = struct.Struct("<I")


class Rows:
    """The maps conns (which row), rows and free_rows."""

    def __init__(self, conns: Map, rows: SharedArray, free: Stack) -> None:
        self._conns, self._rows, self._free = conns, rows, free

    def get(self, key: bytes) -> bytes | None:
        """The row of a connection, or None."""
        number = self._conns.get(key)
        return None if number is None else self._rows[_U32.unpack(number)[0]]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All connections; those that come or go meanwhile may be missing."""
        for key, number in self._conns.items(batch=4096):
            yield key, self._rows[_U32.unpack(number)[0]]

    def delete(self, key: bytes) -> None:
        """Take a connection out, if it is there. What is counted meanwhile is in no row."""
        packed = self._conns.get(key)
        if packed is None or not self._conns.delete(key):
            return
        (number,) = _U32.unpack(packed)
        # Nobody finds it by its key from here on, so it may be another's.
        self._rows[number] = bytes(self._rows.size)
        self._free.push(number)
