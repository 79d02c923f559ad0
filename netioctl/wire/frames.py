"""Stream frames: topic, header, events, connection entries. Layout: PROTOCOL.md section 2."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from netioctl.wire import PROTOCOL_VERSION
from netioctl.wire.errors import ProtocolError, VersionMismatch

#: Largest frame that is published, in bytes, topic included.
MAX_FRAME = 65536
#: A flag of the header: operations that failed may be among the events.
FAILURES = 1

_HEADER = struct.Struct("<HHIQQIIQIIQq16s")
_ENTRY = struct.Struct("<IIIHH")
#: Bytes of a process's name in the kernel (task_struct.comm).
MAX_COMM = 16
#: Bytes of the fixed part of a connection entry: its own header and struct ident.
ENTRY_FIXED = _ENTRY.size + 64


#: Makes the bytes of a header from the fields of Header, in their order.
pack_header = _HEADER.pack


class Header(NamedTuple):
    """A frame's header; see PROTOCOL.md for each field."""

    version: int
    flags: int
    layout: int
    epoch: int
    first: int
    events: int
    conns: int
    start: int
    tgid: int
    replaced: int
    lost: int
    wall_offset: int
    comm: bytes

    def pack(self) -> bytes:
        """The header's bytes."""
        return pack_header(*self)


class Entry(NamedTuple):
    """A connection entry: `ident` is struct ident's 64 bytes, names are raw sun_path bytes.

    `comm` is the name of process `peer_pid`, up to its NUL; empty: unknown.
    """

    id: int
    peer_pid: int
    ident: bytes
    local: bytes
    remote: bytes
    comm: bytes = b""


HEADER_SIZE = _HEADER.size


def topic(pid: int) -> bytes:
    """The topic of a process; the last dot keeps 123 from matching 1234."""
    return b"pid.%d." % pid


def pack_entry(entry: Entry) -> bytes:
    """The bytes of a connection entry, padded to a multiple of 8."""
    tail = entry.local + entry.remote + _comm(entry.comm)
    size = -(-(ENTRY_FIXED + len(tail)) // 8) * 8
    head = _ENTRY.pack(size, entry.id, entry.peer_pid, len(entry.local), len(entry.remote))
    return (head + entry.ident + tail).ljust(size, b"\0")


def _comm(raw: bytes) -> bytes:
    """What counts of a task_struct.comm, or of the room that it may have."""
    return raw[:MAX_COMM].split(b"\0", 1)[0]


def unpack(frame: bytes, event_size: int) -> tuple[Header, memoryview, memoryview]:
    """Split a frame into header, events and connection entries (views into `frame`).

    Raises:
        VersionMismatch: the frame is of another protocol version.
        ProtocolError: it is not a frame, or its counts do not fit its size.
    """
    # A topic is "pid.<digits>.": its end is the second dot.
    end = frame.find(b".", 4) + 1
    if not frame.startswith(b"pid.") or not end or len(frame) < end + HEADER_SIZE:
        raise ProtocolError("a message on the stream is not a netio frame")
    header = Header._make(_HEADER.unpack_from(frame, end))
    if header.version != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"netiod streams protocol {header.version}, this client reads {PROTOCOL_VERSION}: "
            "install the same version of both"
        )
    begin = end + HEADER_SIZE
    middle = begin + header.events * event_size
    view = memoryview(frame)
    if middle + header.conns * ENTRY_FIXED > len(frame):
        raise ProtocolError("a frame on the stream is shorter than its header says")
    return header, view[begin:middle], view[middle:]


def entries(data: memoryview) -> Iterator[Entry]:
    """The connection entries in the tail of a frame.

    Raises:
        ProtocolError: an entry reaches past the end.
    """
    at = 0
    while at < len(data):
        if at + ENTRY_FIXED > len(data):
            raise ProtocolError("a connection entry is cut off")
        size, ident, peer_pid, local_len, remote_len = _ENTRY.unpack_from(data, at)
        names = at + ENTRY_FIXED
        middle, end = names + local_len, names + local_len + remote_len
        if at + size < end or at + size > len(data):
            raise ProtocolError("a connection entry is larger than its frame")
        yield Entry(
            ident,
            peer_pid,
            bytes(data[at + _ENTRY.size : names]),
            bytes(data[names:middle]),
            bytes(data[middle:end]),
            _comm(bytes(data[end : min(end + MAX_COMM, at + size)])),
        )
        at += size
