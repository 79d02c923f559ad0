"""The layouts of bpf/event.h, read from the file itself so that they are written down once.

The parser knows exactly the C that event.h is allowed to hold (one field a line, fixed-width
types, padding spelled out, a comment on every field) and refuses any other line, so a layout
that it misunderstands cannot come into being.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netioctl.wire.errors import LayoutError

if TYPE_CHECKING:
    import numpy as np

_TYPES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s32": "i", "s64": "q"}
_FIELD = re.compile(r"\t(?:struct )?(\w+) (\w+)(?:\[(\d+)\])?;\t+/\* \S.* \*/")
_DEFINE = re.compile(r"#define (NETIO_[A-Z0-9_]+) (\d+)")
_OPEN = re.compile(r"struct (\w+) \{")


@dataclass(frozen=True)
class Field:
    """One field: C type, offset and size in bytes, and `count`, the array length (None: scalar)."""

    name: str
    ctype: str
    offset: int
    size: int
    count: int | None


@dataclass(frozen=True)
class Struct:
    """One C struct: its fields in order, its size and alignment in bytes."""

    name: str
    fields: tuple[Field, ...]
    size: int
    align: int
    #: `struct` module format, little-endian; byte arrays and nested structs come out as bytes.
    format: str

    def unpack(self, data: bytes | memoryview, offset: int = 0) -> dict[str, Any]:
        """Field name to value of one record in `data`; arrays and nested structs as bytes."""
        values = struct.unpack_from(self.format, data, offset)
        return dict(zip((f.name for f in self.fields), values))

    def pack(self, **values: int | bytes) -> bytes:
        """The bytes of one record; fields that are not named are zero."""
        return struct.pack(
            self.format,
            *(values.get(f.name, b"" if _is_bytes(f) else 0) for f in self.fields),
        )

    def offset(self, name: str) -> int:
        """Byte offset of field `name`."""
        return next(f.offset for f in self.fields if f.name == name)


@dataclass(frozen=True)
class Layout:
    """All of event.h. `fingerprint` is equal where layouts and numbers are (CRC-32)."""

    structs: dict[str, Struct]
    constants: dict[str, int]
    fingerprint: int

    def names(self, group: str) -> dict[int, str]:
        """Number to lower-case name of the constants `NETIO_<group>_*`."""
        prefix = f"NETIO_{group}_"
        return {
            v: k[len(prefix) :].lower() for k, v in self.constants.items() if k.startswith(prefix)
        }


def parse(text: str) -> Layout:
    """Parse the text of event.h.

    Raises:
        LayoutError: on any line that is not one of the forms the file may hold.
    """
    structs: dict[str, Struct] = {}
    constants: dict[str, int] = {}
    current: str | None = None
    fields: list[Field] = []
    for number, line in enumerate(_without_block_comments(text), 1):
        if current is None:
            if not line.strip():
                continue
            if match := _DEFINE.fullmatch(line):
                constants[match[1]] = int(match[2])
            elif match := _OPEN.fullmatch(line):
                current, fields = match[1], []
            else:
                raise LayoutError(f"event.h:{number}: not a definition: {line!r}")
        elif line == "};":
            structs[current] = _finish(current, fields, structs)
            current = None
        elif match := _FIELD.fullmatch(line):
            fields.append(_field(match, fields, structs, number))
        else:
            raise LayoutError(f"event.h:{number}: not a field with a comment: {line!r}")
    if current is not None:
        raise LayoutError(f"event.h: struct {current} is not closed")
    canonical = repr([structs, sorted(constants.items())])
    return Layout(structs, constants, zlib.crc32(canonical.encode()))


@lru_cache(maxsize=1)
def load() -> Layout:
    """The layout of the event.h that belongs to this program."""
    return parse(event_h().read_text(encoding="ascii"))


def event_h() -> Path:
    """Path of event.h: in a checkout or /usr/lib/netio beside the packages, in a wheel in netiod.

    Raises:
        LayoutError: it is in none of these places.
    """
    top = Path(__file__).resolve().parents[2]
    for path in (top / "bpf" / "event.h", top / "netiod" / "bpf" / "event.h"):
        if path.is_file():
            return path
    raise LayoutError(f"bpf/event.h is missing below {top}: netio is not fully installed")


def text_of(name: str) -> str:
    """The lines of event.h that define struct `name`, for whom they may outlive."""
    text = event_h().read_text(encoding="ascii")
    found = re.search(rf"(?ms)^struct {name} \{{\n.*?^\}};\n", text)
    if found is None:
        raise LayoutError(f"event.h has no struct {name}")
    return found[0]


def dtype(record: Struct) -> np.dtype[Any]:
    """The numpy type of `record`; numpy is imported here so that clients need not have it."""
    import numpy

    layout = load()
    formats: list[Any] = []
    for f in record.fields:
        base: Any = (
            dtype(layout.structs[f.ctype])
            if f.ctype in layout.structs
            else "<" + f.ctype[0].replace("s", "i") + str(int(f.ctype[1:]) // 8)
        )
        formats.append(base if f.count is None else (base, (f.count,)))
    return numpy.dtype(
        {
            "names": [f.name for f in record.fields],
            "formats": formats,
            "offsets": [f.offset for f in record.fields],
            "itemsize": record.size,
        }
    )


def _without_block_comments(text: str) -> list[str]:
    """Lines of `text`, with comments that stand on lines of their own blanked."""
    blank = lambda m: "\n" * m[0].count("\n")  # noqa: E731
    return re.sub(r"(?ms)^/\*.*?\*/$", blank, text).split("\n")


def _field(
    match: re.Match[str], before: list[Field], structs: dict[str, Struct], number: int
) -> Field:
    ctype, name, count = match[1], match[2], int(match[3]) if match[3] else None
    if ctype in structs:
        size, align = structs[ctype].size, structs[ctype].align
    elif ctype in _TYPES:
        size = align = struct.calcsize(_TYPES[ctype])
    else:
        raise LayoutError(f"event.h:{number}: type {ctype} has no fixed width")
    offset = before[-1].offset + before[-1].size if before else 0
    if offset % align:
        raise LayoutError(f"event.h:{number}: {name} needs padding spelled out before it")
    return Field(name, ctype, offset, size * (count or 1), count)


def _finish(name: str, fields: list[Field], structs: dict[str, Struct]) -> Struct:
    if not fields:
        raise LayoutError(f"event.h: struct {name} is empty")
    size = fields[-1].offset + fields[-1].size
    aligns = [
        structs[f.ctype].align if f.ctype in structs else struct.calcsize(_TYPES[f.ctype])
        for f in fields
    ]
    if size % max(aligns):
        raise LayoutError(f"event.h: struct {name} needs padding spelled out at its end")
    form = "<" + "".join(_format(f) for f in fields)
    return Struct(name, tuple(fields), size, max(aligns), form)


def _format(field: Field) -> str:
    return f"{field.size}s" if _is_bytes(field) else _TYPES[field.ctype]


def _is_bytes(field: Field) -> bool:
    return field.count is not None or field.ctype not in _TYPES
