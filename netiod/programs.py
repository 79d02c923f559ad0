"""Compiled programs in the kernel: their maps are made at once, each program when it is wanted.

Layouts of the attributes: union bpf_attr in <linux/bpf.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from netiod.compiled import INSN, Compiled, MapShape, with_maps
from netiod.maps import MapError, bpf

#: enum bpf_cmd.
_MAP_CREATE, _PROG_LOAD = 0, 5
_LICENCE = ctypes.create_string_buffer(b"GPL")
#: prog_type, insn_cnt, insns, license, log_level, log_size, log_buf, kern_version, prog_flags,
#: prog_name, prog_ifindex, expected_attach_type; up to attach_btf_id all that follows is zero.
_LOAD = struct.Struct("=IIQQIIQII16sII36xI")
#: Up to map_name.
_CREATE = struct.Struct("=IIIIIII16s")
#: The most that every kernel takes; where it says more, the end is cut off.
_LOG_SIZE = (1 << 24) - 1
#: Times that the verifier may be interrupted by a signal.
_TRIES = 5


class ProgramRefused(OSError):
    """The kernel does not take a program; the text is the verifier's last word."""


class Programs:
    """What was compiled, in the kernel as long as descriptors keep it there.

    Raises:
        MapError: a map was refused.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._code = compiled.programs
        self._maps: dict[str, int] = {}
        self._programs: dict[str, int] = {}
        try:
            for shape in compiled.maps:
                self._maps[shape.name] = _create(shape)
        except MapError:
            self.close()
            raise
        self._numbers = dict(enumerate(self._maps.values()))

    def map(self, name: str) -> int:
        """The descriptor of a map."""
        return self._maps[name]

    def program(self, name: str) -> int:
        """The descriptor of a program that load() has loaded."""
        return self._programs[name]

    def load(self, name: str, kind: int, shown: str, expected: int = 0, target: int = 0) -> int:
        """Load a program, unless it is, and return its descriptor.

        Args:
            kind: of enum bpf_prog_type.
            shown: what it is called in the kernel; 15 characters are kept.
            expected: of enum bpf_attach_type.
            target: the number, in the kernel's BTF, of the function that it is for.

        Raises:
            ProgramRefused: the kernel does not take it.
        """
        if name not in self._programs:
            code = ctypes.create_string_buffer(with_maps(self._code[name], self._numbers))
            label = shown.encode()[:15]
            self._programs[name] = _load(code, kind, label, expected, target)
        return self._programs[name]

    def close(self) -> None:
        """Let go of all of it."""
        for fds in (self._programs, self._maps):
            for fd in fds.values():
                os.close(fd)
            fds.clear()


def _create(shape: MapShape) -> int:
    attr = ctypes.create_string_buffer(_CREATE.size)
    name = shape.name.encode()[:15]
    numbers = (shape.type, shape.key_size, shape.value_size, shape.max_entries, shape.flags)
    _CREATE.pack_into(attr, 0, *numbers, 0, 0, name)
    try:
        return bpf(_MAP_CREATE, attr)
    except MapError as error:
        raise MapError(error.errno, f"map {shape.name}: {os.strerror(error.errno or 0)}") from error


def _load(
    code: ctypes.Array[ctypes.c_char], kind: int, label: bytes, expected: int, target: int
) -> int:
    try:
        return _try(code, kind, label, expected, target)
    except MapError as error:
        refused = error
    log = ctypes.create_string_buffer(_LOG_SIZE)
    try:
        return _try(code, kind, label, expected, target, log)
    except MapError:
        why = _last_word(log.value) or os.strerror(refused.errno or 0)
        raise ProgramRefused(refused.errno, why) from refused


def _try(
    code: ctypes.Array[ctypes.c_char],
    kind: int,
    label: bytes,
    expected: int,
    target: int,
    log: ctypes.Array[ctypes.c_char] | None = None,
) -> int:
    said = (1, len(log), ctypes.addressof(log)) if log is not None else (0, 0, 0)
    count = (len(code) - 1) // INSN.size
    where = (ctypes.addressof(code), ctypes.addressof(_LICENCE))
    attr = ctypes.create_string_buffer(_LOAD.size)
    _LOAD.pack_into(attr, 0, kind, count, *where, *said, 0, 0, label, 0, expected, target)
    for _ in range(_TRIES - 1):
        try:
            return bpf(_PROG_LOAD, attr)
        except MapError as error:
            if error.errno != errno.EAGAIN:
                raise
    return bpf(_PROG_LOAD, attr)


def _last_word(log: bytes) -> str:
    """The last line that is one: sums of work are none."""
    lines = [line.strip() for line in log.decode("ascii", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("processed ")]
    return lines[-1] if lines else ""
