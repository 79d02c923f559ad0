"""The rows of connections: struct conn by struct conn_key."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from netiod.maps import Map, Stack

_U32 = struct.Struct("<I")


class Rows:
    """The maps conns (which row), rows and free_rows.

    Rows are not mapped: all of an array's pages would count as ours, used or not.
    """

    def __init__(self, conns: Map, rows: Map, free: Stack) -> None:
        self._conns, self._rows, self._free = conns, rows, free

    def get(self, key: bytes) -> bytes | None:
        """The row of a connection, or None."""
        number = self._conns.get(key)
        return None if number is None else self._rows.get(number)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All connections; those that come or go meanwhile may be missing."""
        for key, number in self._conns.items(batch=4096):
            row = self._rows.get(number)
            if row is not None:
                yield key, row

    def delete(self, key: bytes) -> None:
        """Take a connection out, if it is there. What is counted meanwhile is in no row."""
        number = self._conns.get(key)
        if number is None or not self._conns.delete(key):
            return
        # Nobody finds it by its key from here on, so it may be another's.
        self._rows.put(number, bytes(self._rows.value_size))
        self._free.push(_U32.unpack(number)[0])
