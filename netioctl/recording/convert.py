"""Events of another event.h, or of a machine of the other byte order, as this program's."""

from __future__ import annotations

from typing import Any

from netioctl.recording.format import Damaged
from netioctl.wire import layout
from netioctl.wire.errors import LayoutError

#: What a struct event may take, in the file's header and as a record.
_MOST_TEXT, _MOST_SIZE = 8192, 256
#: Without these an event says nothing.
_NEEDED = ("time", "tgid", "bytes", "dir")


class Converter:
    """Makes rows of the columns of bytes in a block; `note` says what is different, or is empty.

    Raises:
        Damaged: the header does not describe events.
    """

    def __init__(self, header: dict[str, Any], big: bool) -> None:
        own = layout.load().structs["event"]
        theirs = _parse(header.get("event"))
        if any(name not in {f.name for f in theirs.fields} for name in _NEEDED):
            raise Damaged("its events are of a kind that this netio does not know")
        self._size, self._stride = theirs.size, own.size
        #: For each byte of an event here, the column there; None: it is 0.
        self._columns: list[int | None] = [None] * own.size
        known = {field.name: field for field in theirs.fields}
        for field in own.fields:
            if (other := known.get(field.name)) is None:
                continue
            for byte in range(min(field.size, other.size)):
                place = other.size - 1 - byte if big else byte
                self._columns[field.offset + byte] = other.offset + place
        self.note = ""
        if big:
            self.note = "was written on a machine of the other byte order: converted"
        elif self._columns != list(range(own.size)) or theirs.size != own.size:
            self.note = "holds events of another version of netio: shown is what both versions know"

    def rows(self, columns: bytes, number: int, size: int) -> bytearray:
        """`number` events in a row.

        Raises:
            Damaged: they are not of the size that the header says.
        """
        if size != self._size:
            raise Damaged("a block's events have another size")
        data = bytearray(number * self._stride)
        for byte, column in enumerate(self._columns):
            if column is not None:
                data[byte :: self._stride] = columns[column * number : (column + 1) * number]
        return data


def _parse(text: Any) -> layout.Struct:
    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        raise Damaged("its header does not describe events")
    try:
        found = layout.parse(text).structs.get("event")
    except (LayoutError, ValueError):
        found = None
    scalar = found is not None and all(f.count is None and f.size <= 8 for f in found.fields)
    if found is None or not scalar or found.size > _MOST_SIZE:
        raise Damaged("its header does not describe events")
    return found
