"""What the compiler makes of C text: programs and the maps that they use, as bytes to keep."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: struct bpf_insn of <linux/bpf.h>: opcode, registers (source << 4 | destination), offset,
#: immediate.
INSN = struct.Struct("<BBhi")
#: BPF_LD | BPF_DW | BPF_IMM, whose immediate is a map's descriptor with this source register.
_LOAD_64, _PSEUDO_MAP_FD = 0x18, 1
_LENGTH = struct.Struct("<I")


class MapShape(NamedTuple):
    """A map as BPF_MAP_CREATE takes it; `type` is of enum bpf_map_type, sizes are bytes."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


@dataclass(frozen=True)
class Compiled:
    """Instructions by function, and the maps: where an instruction wants a map's descriptor, it has
    the map's place in `maps`."""

    programs: Mapping[str, bytes]
    maps: tuple[MapShape, ...]

    def to_bytes(self) -> bytes:
        """All of it, as from_bytes() takes it."""
        sizes = {name: len(code) for name, code in self.programs.items()}
        head = json.dumps({"programs": sizes, "maps": self.maps}).encode()
        return b"".join((_LENGTH.pack(len(head)), head, *self.programs.values()))

    @classmethod
    def from_bytes(cls, data: bytes) -> Compiled:
        """What to_bytes() gave.

        Raises:
            ValueError: it did not give this.
        """
        try:
            (length,) = _LENGTH.unpack_from(data)
            at = _LENGTH.size + length
            head = json.loads(data[_LENGTH.size : at])
            programs = {}
            for name, size in head["programs"].items():
                programs[name] = data[at : at + size]
                at += size
            maps = tuple(MapShape(*each) for each in head["maps"])
        except (struct.error, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not compiled programs: {error}") from error
        if at != len(data) or any(len(code) % INSN.size for code in programs.values()):
            raise ValueError("not compiled programs: wrong length")
        return cls(programs, maps)


def with_maps(code: bytes, numbers: Mapping[int, int]) -> bytes:
    """`code` with each reference to a map replaced by what `numbers` has for it.

    Raises:
        KeyError: it has nothing for one.
    """
    changed = bytearray(code)
    for at in _references(code):
        opcode, registers, offset, number = INSN.unpack_from(code, at)
        INSN.pack_into(changed, at, opcode, registers, offset, numbers[number])
    return bytes(changed)


def _references(code: bytes) -> Iterator[int]:
    # By all opcodes at once: there are thousands.
    opcodes, at = code[:: INSN.size], -1
    while (at := opcodes.find(_LOAD_64, at + 1)) >= 0:
        if code[at * INSN.size + 1] >> 4 == _PSEUDO_MAP_FD:
            yield at * INSN.size
