"""The bytes of a recording: header, blocks, index, trailer. docs/RECORDING.md is the reference.

Whoever reads a file may not trust who wrote it: every length is checked before it is used.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any, NamedTuple

from netioctl.wire.errors import NetioError

#: As PNG's: notices a transfer that changed line ends or cut the eighth bit.
MAGIC = b"\x89NETIO\r\n"
#: Of what is written here, and the oldest reader that understands it.
VERSION, LEAST = 1, 1
#: Kinds of blocks.
STREAM, PROCESSES, COUNTERS, INDEX = 1, 2, 3, 4
#: Bytes of a block's content at most, decompressed; of the header's JSON.
MAX_RAW, MAX_HEADER = 16 << 20, 1 << 20
#: Wall clock in ns that clocks of people can show: 1970 to 2116.
EARLIEST, LATEST = 10**9, 1 << 62

_HEAD = struct.Struct("<8sHHHHI")
_BLOCK = struct.Struct("<4sBBHIIIIQQI")
_CRC = struct.Struct("<I")
_ENTRY = struct.Struct("<QQQIB3x")
_TRAILER = struct.Struct("<8sQI")
_CONTENT = struct.Struct("<IIHH")
_BLOCK_MAGIC, _END_MAGIC = b"NBLK", b"NETIOEND"
_ORDER_LITTLE, _ORDER_BIG = 0x0102, 0x0201
#: zlib's level: on columns of bytes, 2 and 3 take a fifth more time for 2 % less space.
_LEVEL = 1

HEAD_SIZE = _HEAD.size + _CRC.size
BLOCK_SIZE = _BLOCK.size + _CRC.size
TRAILER_SIZE = _TRAILER.size + _CRC.size
ENTRY_SIZE = _ENTRY.size


class RecordingError(NetioError):
    """A recording cannot be read or written; one line that says why."""


class Damaged(Exception):
    """These bytes are not what a recording has there; `str()` says what is wrong with them."""


class Head(NamedTuple):
    """The fixed part of the header. `big`: events are those of a big-endian machine."""

    version: int
    least: int
    big: bool
    size: int


class Block(NamedTuple):
    """A block: where it is, its kind, its events, and the wall clock (ns) it is about."""

    offset: int
    kind: int
    events: int
    first: int
    last: int


class Stored(NamedTuple):
    """What a block's header says: the block, its bytes in the file, decompressed, their CRC."""

    block: Block
    stored: int
    raw: int
    crc: int


def pack_head(header: dict[str, Any]) -> bytes:
    """The header of a file."""
    text = dump(header)
    fixed = _HEAD.pack(MAGIC, VERSION, LEAST, _ORDER_LITTLE, 0, len(text))
    return fixed + _CRC.pack(zlib.crc32(text, zlib.crc32(fixed))) + text


def unpack_head(data: bytes) -> Head:
    """The fixed part of a header.

    Raises:
        Damaged: it is none.
    """
    if len(data) < HEAD_SIZE or not data.startswith(MAGIC):
        raise Damaged("it does not begin as one")
    _, version, least, order, _, size = _HEAD.unpack_from(data)
    if order not in (_ORDER_LITTLE, _ORDER_BIG) or size > MAX_HEADER:
        raise Damaged("its header is damaged")
    return Head(version, least, order == _ORDER_BIG, size)


def check_head(fixed: bytes, text: bytes) -> dict[str, Any]:
    """The header's object.

    Raises:
        Damaged: it was changed.
    """
    if _CRC.unpack_from(fixed, _HEAD.size)[0] != zlib.crc32(text, zlib.crc32(fixed[: _HEAD.size])):
        raise Damaged("its header is damaged")
    return load(text)


def pack_block(kind: int, raw: bytes, first: int, last: int, events: int = 0) -> bytes:
    """A block; `first` and `last` in ns since the epoch."""
    stored = zlib.compress(raw, _LEVEL)
    crc = zlib.crc32(stored)
    head = _BLOCK.pack(_BLOCK_MAGIC, kind, 0, 0, len(stored), len(raw), events, crc, first, last, 0)
    return head + _CRC.pack(zlib.crc32(head)) + stored


def unpack_block(data: bytes, offset: int) -> Stored:
    """The header of a block that stands at `offset`.

    Raises:
        Damaged: there is none.
    """
    if len(data) < BLOCK_SIZE:
        raise Damaged("it ends within a block")
    magic, kind, _, _, stored, raw, events, crc, first, last, _ = _BLOCK.unpack_from(data)
    intact = _CRC.unpack_from(data, _BLOCK.size)[0] == zlib.crc32(data[: _BLOCK.size])
    if magic != _BLOCK_MAGIC or not intact or raw > MAX_RAW:
        raise Damaged("a block's header is damaged")
    if not EARLIEST <= first <= last <= LATEST:
        raise Damaged("a block's times are wrong")
    return Stored(Block(offset, kind, events, first, last), stored, raw, crc)


def unpack_content(head: Stored, stored: bytes) -> bytes:
    """What a block holds.

    Raises:
        Damaged: it was changed.
    """
    if len(stored) < head.stored:
        raise Damaged("it ends within a block")
    if zlib.crc32(stored) != head.crc:
        raise Damaged("a block is damaged")
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(stored, head.raw + 1)
    except zlib.error:
        raise Damaged("a block is damaged") from None
    if len(raw) != head.raw or not inflate.eof:
        raise Damaged("a block is damaged")
    return raw


def pack_index(blocks: bytes, offset: int) -> bytes:
    """The end of a file whose index begins at `offset`; `blocks`: entries in order."""
    times = [_ENTRY.unpack_from(blocks, at)[1:3] for at in (0, len(blocks) - _ENTRY.size)]
    first, last = times[0][0], max(times[0][0], times[1][1])
    trailer = _TRAILER.pack(_END_MAGIC, offset, 0)
    return pack_block(INDEX, blocks, first, last) + trailer + _CRC.pack(zlib.crc32(trailer))


def pack_entry(block: Block) -> bytes:
    """A block's entry in the index."""
    return _ENTRY.pack(block.offset, block.first, block.last, block.events, block.kind)


def unpack_trailer(data: bytes) -> int | None:
    """Where the index begins; None: this is no trailer."""
    if len(data) != TRAILER_SIZE or not data.startswith(_END_MAGIC):
        return None
    if _CRC.unpack_from(data, _TRAILER.size)[0] != zlib.crc32(data[: _TRAILER.size]):
        return None
    return int(_TRAILER.unpack_from(data)[1])


def unpack_index(raw: bytes, end: int) -> list[Block]:
    """The blocks of an index that begins at `end`.

    Raises:
        Damaged: it is none.
    """
    if not raw or len(raw) % _ENTRY.size:
        raise Damaged("its index is damaged")
    blocks = [
        Block(offset, kind, events, first, last)
        for offset, first, last, events, kind in _ENTRY.iter_unpack(raw)
    ]
    offsets = [block.offset for block in blocks]
    # Each once and in order, or a small file could be an endless one.
    ordered = all(a + BLOCK_SIZE <= b for a, b in zip(offsets, [*offsets[1:], end]))
    if not ordered or any(not EARLIEST <= b.first <= b.last <= LATEST for b in blocks):
        raise Damaged("its index is damaged")
    return blocks


def next_block(data: bytes) -> int:
    """Where in `data` a block may begin; -1: nowhere."""
    return data.find(_BLOCK_MAGIC)


def pack_stream(items: dict[str, Any], columns: bytes, events: int, size: int) -> bytes:
    """The content of a STREAM block: JSON, then `events` events of `size` bytes in columns."""
    text = dump(items)
    return _CONTENT.pack(len(text), events, size, 0) + text + columns


def unpack_stream(raw: bytes) -> tuple[dict[str, Any], bytes, int, int]:
    """The object, the columns, the number of events and their size.

    Raises:
        Damaged: it is not that.
    """
    if len(raw) < _CONTENT.size:
        raise Damaged("a block is damaged")
    length, events, size, _ = _CONTENT.unpack_from(raw)
    begin = _CONTENT.size + length
    if len(raw) != begin + events * size:
        raise Damaged("a block is damaged")
    return load(raw[_CONTENT.size : begin]), raw[begin:], events, size


def to_columns(data: bytes | memoryview, size: int) -> bytes:
    """Records of `size` bytes as columns of bytes, which compress to half, and faster."""
    whole = bytes(data)
    return b"".join([whole[at::size] for at in range(size)])


def dump(value: dict[str, Any]) -> bytes:
    """JSON, ASCII."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def load(text: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Damaged: it is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Damaged("a block is damaged") from None
    if not isinstance(value, dict):
        raise Damaged("a block is damaged")
    return value


def _refuse(_name: str) -> None:
    raise ValueError("no number")
