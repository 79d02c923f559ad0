"""What the renderers of events stand on: fields of struct event, and text that is made once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from netioctl.wire import layout
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import LayoutError

K = TypeVar("K")
V = TypeVar("V")
#: Entries that are kept of what grows with traffic.
_LIMIT = 65_536


class Cache(dict[K, V]):
    """A dict that makes what it lacks, and empties itself at `limit` entries.

    A look-up of what is there costs no Python call, which is what makes events cheap to draw.
    """

    def __init__(self, make: Callable[[K], V], limit: int = _LIMIT) -> None:
        self._make = make
        self._limit = limit

    def __missing__(self, key: K) -> V:
        if len(self) >= self._limit:
            self.clear()
        value = self[key] = self._make(key)
        return value


class ByConnection(dict[int, V], Generic[V]):
    """What `make` makes of a connection, by its id; `lookup` tells which one that is."""

    def __init__(
        self, lookup: Callable[[int], Connection], make: Callable[[Connection], V]
    ) -> None:
        self._lookup = lookup
        self._make = make

    def __missing__(self, conn: int) -> V:
        connection = self._lookup(conn)
        made = self._make(connection)
        # What is not known yet may be told by a later frame. Id 0 never is.
        if connection.family is not None or not conn:
            if len(self) >= _LIMIT:
                self.clear()
            self[conn] = made
        return made


def event_fields(*names: str) -> struct.Struct:
    """Unpacks just these fields of struct event, which must be named in the struct's order.

    Raises:
        LayoutError: there is no such field, or it is named out of order.
    """
    record = layout.load().structs["event"]
    codes = {1: "B", 2: "H", 4: "I", 8: "Q"}
    form, at = "<", 0
    for name in names:
        field = next((f for f in record.fields if f.name == name), None)
        if field is None or field.offset < at or field.count is not None:
            raise LayoutError(f"struct event has no plain field {name} after byte {at}")
        form += f"{field.offset - at}x{codes[field.size]}"
        at = field.offset + field.size
    return struct.Struct(f"{form}{record.size - at}x")


def event_rows(
    *names: str, failed: bool = False
) -> Callable[[bytes | memoryview], Iterator[tuple[Any, ...]]]:
    """What makes tuples of these fields, named in the struct's order, of events; with `failed` the
    place of `bytes` has `error`.

    Raises:
        LayoutError: as event_fields() does.
    """
    if not failed:
        return event_fields(*names).iter_unpack
    fields = event_fields(*(name for name in names if name != "bytes"), "error")
    at = names.index("bytes")
    return lambda data: ((*row[:at], row[-1], *row[at:-1]) for row in fields.iter_unpack(data))
