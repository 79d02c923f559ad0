"""BPF maps through inherited descriptors: bpf(2) by number, no library, no privileges of its own.

Keys and values are bytes; their C types are those of bpf/event.h. Layouts of the attributes:
union bpf_attr in <linux/bpf.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

_LOOKUP, _UPDATE, _DELETE, _GET_INFO, _LOOKUP_BATCH = 1, 2, 3, 15, 24
_ANY, _NOEXIST = 0, 1
_NR_BPF = {"x86_64": 321, "aarch64": 280}
_ELEM = struct.Struct("=IIQQQ")
_BATCH = struct.Struct("=QQQQIIQQ")
_INFO = struct.Struct("=IIQ")
#: Offsets in struct bpf_prog_info; run_cnt and recursion_misses follow run_time_ns.
_PROG_INFO_SIZE = 256
_PROG_NAME, _PROG_RUN_TIME = 64, 192

_libc = ctypes.CDLL(None, use_errno=True)


class MapError(OSError):
    """bpf(2) refused; `errno` says why."""


class MapFull(MapError):
    """The map holds as many entries as it can (E2BIG)."""


def bpf(command: int, attr: ctypes.Array[ctypes.c_char]) -> int:
    """bpf(2) with union bpf_attr `attr`; a descriptor, or 0.

    Raises:
        MapFull: E2BIG.
        MapError: any other refusal.
    """
    number = _NR_BPF[platform.machine()]
    result: int = _libc.syscall(number, command, attr, len(attr))
    if result < 0:
        code = ctypes.get_errno()
        kind = MapFull if code == errno.E2BIG else MapError
        raise kind(code, f"bpf command {command}: {os.strerror(code)}")
    return result


class Map:
    """A map whose keys are `key_size` and values `value_size` bytes, and that is not per CPU."""

    def __init__(self, fd: int, key_size: int, value_size: int) -> None:
        self.fd = fd
        self.key_size = key_size
        self.value_size = value_size
        self._key = ctypes.create_string_buffer(key_size)
        self._value = ctypes.create_string_buffer(value_size)
        self._attr = ctypes.create_string_buffer(_ELEM.size)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        try:
            self._elem(_LOOKUP, key, _ANY)
        except MapError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return self._value.raw

    def put(self, key: bytes, value: bytes, *, new: bool = False) -> bool:
        """Store `value`; with `new`, only if there was none. True if it was stored.

        Raises:
            MapFull: there is no room.
        """
        self._value.raw = value
        try:
            self._elem(_UPDATE, key, _NOEXIST if new else _ANY)
        except MapError as error:
            if new and error.errno == errno.EEXIST:
                return False
            raise
        return True

    def delete(self, key: bytes) -> bool:
        """Delete `key`; False if it was not there."""
        try:
            self._elem(_DELETE, key, _ANY)
        except MapError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def items(self, batch: int = 1024) -> Iterator[tuple[bytes, bytes]]:
        """All entries; those that come or go meanwhile may be missing."""
        token_in = ctypes.create_string_buffer(max(self.key_size, 8))
        token_out = ctypes.create_string_buffer(max(self.key_size, 8))
        first = True
        while True:
            keys = ctypes.create_string_buffer(batch * self.key_size)
            values = ctypes.create_string_buffer(batch * self.value_size)
            attr = ctypes.create_string_buffer(_BATCH.size)
            fields = (
                0 if first else ctypes.addressof(token_in),
                ctypes.addressof(token_out),
                ctypes.addressof(keys),
                ctypes.addressof(values),
                batch,
                self.fd,
                0,
                0,
            )
            _BATCH.pack_into(attr, 0, *fields)
            last = False
            try:
                bpf(_LOOKUP_BATCH, attr)
            except MapError as error:
                if error.errno == errno.ENOSPC:
                    # One hash bucket holds more than a batch.
                    batch *= 2
                    continue
                if error.errno != errno.ENOENT:
                    raise
                last = True
            count = _BATCH.unpack_from(attr)[4]
            raw_keys, raw_values = keys.raw, values.raw
            for i in range(count):
                yield (
                    raw_keys[i * self.key_size : (i + 1) * self.key_size],
                    raw_values[i * self.value_size : (i + 1) * self.value_size],
                )
            if last:
                return
            first = False
            token_in, token_out = token_out, token_in

    def _elem(self, command: int, key: bytes, flags: int) -> None:
        self._key.raw = key
        # What a command does not use must be zero.
        value = 0 if command == _DELETE else ctypes.addressof(self._value)
        _ELEM.pack_into(self._attr, 0, self.fd, 0, ctypes.addressof(self._key), value, flags)
        bpf(command, self._attr)


class Stack:
    """A BPF_MAP_TYPE_STACK of 32-bit numbers."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._value = ctypes.create_string_buffer(4)
        self._attr = ctypes.create_string_buffer(_ELEM.size)

    def push(self, number: int) -> None:
        """Put `number` on top.

        Raises:
            MapFull: there is no room.
        """
        struct.pack_into("=I", self._value, 0, number)
        _ELEM.pack_into(self._attr, 0, self._fd, 0, 0, ctypes.addressof(self._value), _ANY)
        bpf(_UPDATE, self._attr)


class ProgramInfo:
    """What the kernel counts of a program: `run_time_ns` and `run_cnt` stay 0 unless
    kernel.bpf_stats_enabled is 1; `misses` are runs skipped for recursion (kernel 5.12)."""

    def __init__(self, fd: int) -> None:
        info = ctypes.create_string_buffer(_PROG_INFO_SIZE)
        attr = ctypes.create_string_buffer(_INFO.size)
        _INFO.pack_into(attr, 0, fd, _PROG_INFO_SIZE, ctypes.addressof(info))
        bpf(_GET_INFO, attr)
        raw = info.raw
        self.name = raw[_PROG_NAME : _PROG_NAME + 16].split(b"\0", 1)[0].decode("ascii", "replace")
        self.run_time_ns, self.run_cnt, self.misses = struct.unpack_from(
            "=QQQ", raw, _PROG_RUN_TIME
        )
