"""The running kernel's types (BTF), and bpf/kernel.h written out with this kernel's offsets.

Format: Documentation/bpf/btf.rst of the kernel, <linux/btf.h>. Only what is needed to find the
offset of a named field is read: structs, unions, and what may stand between a field and its size.
"""

from __future__ import annotations

import bisect
import re
import struct
from array import array
from collections import deque
from pathlib import Path
from typing import NamedTuple

from netioctl.wire.errors import LayoutError, PrerequisiteError

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_PTR, _ARRAY, _STRUCT, _UNION, _FUNC, _VAR = 2, 3, 4, 5, 12, 14
#: typedef, volatile, const, restrict, type_tag: names for another type.
_ALIASES = frozenset((8, 9, 10, 11, 18))
#: Bytes of a type of each kind: fixed, and for each of its vlen elements. Kind 0 is no type.
_FIXED = (12, 16, 12, 24, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 16, 12, 12, 16, 12, 12)
_EACH = (0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12)
_MAX_DEPTH = 32
#: Structs looked into for one field; the kernel's deepest needs some ten.
_MAX_NESTED = 512


class _Type(NamedTuple):
    name: int
    kind: int
    vlen: int
    size_or_type: int
    tail: int
    bitfields: bool


class Member(NamedTuple):
    """A field: `offset` in bytes from the start of the outermost struct, `size` in bytes."""

    offset: int
    size: int


class Btf:
    """BTF data, parsed.

    Raises:
        LayoutError: the data is not BTF, is cut off, or contradicts itself.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._parse(data)
        except (struct.error, IndexError) as error:
            raise LayoutError(f"the kernel's BTF cannot be read: {error}") from error

    @classmethod
    def of_kernel(cls, path: Path = VMLINUX) -> Btf:
        """The BTF of the running kernel.

        Raises:
            PrerequisiteError: the kernel has none.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PrerequisiteError(
                f"{path}: {error.strerror}: this kernel describes no types; "
                "netio needs one built with CONFIG_DEBUG_INFO_BTF=y"
            ) from error
        return cls(data)

    def struct_size(self, name: str) -> int | None:
        """Size in bytes of `struct name`, or None."""
        index = self._structs.get(name)
        return None if index is None else self._type(index).size_or_type

    def member(self, struct_name: str, field: str) -> Member | None:
        """Where `struct struct_name` holds `field`, anonymous members searched too, or None.

        Raises:
            LayoutError: the field is a bit-field, or the types contradict themselves.
        """
        index = self._structs.get(struct_name)
        if index is None:
            return None
        try:
            return self._find(index, field)
        except (struct.error, IndexError) as error:
            raise LayoutError(f"BTF of struct {struct_name} cannot be read: {error}") from error

    def struct_id(self, name: str) -> int | None:
        """The number of a struct, as the verifier knows it, or None."""
        return self._structs.get(name)

    def has_function(self, name: str) -> bool:
        """Whether the kernel has a function of that name, not inlined everywhere."""
        return self.function_id(name) is not None

    def function_id(self, name: str) -> int | None:
        """The number of a function, as the verifier knows it, or None."""
        # Its linkage, which stands where a struct has its length, is static or global.
        at = self._where(name, _FUNC << 24, _FUNC << 24 | 1)
        if at is None:
            return None
        number = bisect.bisect_left(self._at, at, 1)
        return number if number < len(self._at) and self._at[number] == at else None

    def has_variable(self, name: str) -> bool:
        """Whether the kernel has a variable of that name; only those of each CPU are told."""
        return self._where(name, _VAR << 24) is not None

    def _where(self, name: str, *kinds: int) -> int | None:
        """Where in the data a type of that name and one of `kinds` begins."""
        text = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        # A type begins with its name's offset and its kind.
        found = (self._data.find(struct.pack("<II", text, kind)) for kind in kinds)
        return next((at for at in found if at >= 0), None) if text else None

    def _parse(self, data: bytes) -> None:
        magic, _, _, header, type_off, type_len, str_off, str_len = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise LayoutError("the kernel's BTF cannot be read: it does not begin as BTF does")
        strings = data[header + str_off : header + str_off + str_len]
        types = data[header + type_off : header + type_off + type_len]
        if len(strings) != str_len or len(types) != type_len:
            raise LayoutError("the kernel's BTF cannot be read: it is cut off")
        self._strings, self._data = strings, types
        #: Where each type begins in the data; type 0 is void.
        self._at = array("I", [0])
        self._structs: dict[str, int] = {}
        at, end, unpack, add = 0, len(types), _TYPE.unpack_from, self._at.append
        number = 0
        while at < end:
            name, info, _ = unpack(types, at)
            kind = info >> 24 & 31
            number += 1
            add(at)
            if kind == _STRUCT and name:
                self._structs.setdefault(self._string(name), number)
            try:
                at += _FIXED[kind] + _EACH[kind] * (info & 0xFFFF)
            except IndexError:
                raise LayoutError(
                    f"the kernel's BTF has types of an unknown kind, {kind}"
                ) from None
        if at != end:
            raise LayoutError("the kernel's BTF cannot be read: its last type is cut off")

    def _type(self, index: int) -> _Type:
        if not index:
            return _Type(0, 0, 0, 0, 0, False)
        at = self._at[index]
        name, info, size_or_type = _TYPE.unpack_from(self._data, at)
        bitfields = bool(info >> 31)
        return _Type(name, info >> 24 & 31, info & 0xFFFF, size_or_type, at + 12, bitfields)

    def _string(self, offset: int) -> str:
        end = self._strings.find(b"\0", offset)
        if end < 0:
            raise LayoutError("the kernel's BTF cannot be read: a name is cut off")
        return self._strings[offset:end].decode("utf-8", "replace")

    def _find(self, index: int, field: str) -> Member | None:
        # Breadth first, (type, bits from the outermost struct); anonymous members are looked
        # into. Types that contain themselves would never end: hence the budget.
        todo = deque([(index, 0)])
        for _ in range(_MAX_NESTED):
            if not todo:
                return None
            at, base = todo.popleft()
            outer = self._type(at)
            for i in range(outer.vlen):
                name, type_id, where = _MEMBER.unpack_from(self._data, outer.tail + 12 * i)
                bits = where >> 24 if outer.bitfields else 0
                offset = base + (where & 0xFFFFFF if outer.bitfields else where)
                if name and self._string(name) == field:
                    if bits or offset % 8:
                        raise LayoutError(f"field {field} is a bit-field in this kernel")
                    return Member(offset // 8, self._size(type_id, 0))
                if not name:
                    inner = self._resolve(type_id)
                    if self._type(inner).kind in (_STRUCT, _UNION):
                        todo.append((inner, offset))
        raise LayoutError("the kernel's BTF cannot be read: types nest without end")

    def _resolve(self, index: int) -> int:
        for _ in range(_MAX_DEPTH):
            if self._type(index).kind not in _ALIASES:
                return index
            index = self._type(index).size_or_type
        raise LayoutError("the kernel's BTF cannot be read: a typedef leads to itself")

    def _size(self, index: int, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise LayoutError("the kernel's BTF cannot be read: arrays nest without end")
        kind = self._type(self._resolve(index))
        if kind.kind == _PTR:
            return 8
        if kind.kind == _ARRAY:
            element, _, count = _MEMBER.unpack_from(self._data, kind.tail)
            return self._size(element, depth + 1) * int(count)
        return kind.size_or_type


_STRUCT_LINE = re.compile(r"struct (\w+) \{")
_FIELD_LINE = re.compile(r"\t((?:struct )?(\w+) \**)(\w+)(?:\[(\d+)\])?;\t+/\* (.+) \*/")
_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "int": 4, "long": 8}


def write_kernel_h(text: str, btf: Btf) -> str:
    """The structs of bpf/kernel.h as C, each field at the offset that `btf` gives it.

    Raises:
        LayoutError: a line of kernel.h is not understood, or the kernel lacks a struct or a
            field that is not optional, or has it in another size.
    """
    out: list[str] = []
    name: str | None = None
    body = re.sub(r"(?ms)^/\*.*?\*/$", "", text).replace("unsigned long", "u64")
    for line in body.split("\n"):
        if name is None:
            match = _STRUCT_LINE.fullmatch(line)
            if match:
                name = match[1]
                size = btf.struct_size(name)
                if size is None:
                    raise LayoutError(f"this kernel's BTF has no struct {name}")
                out.append(f"struct {name} {{ union {{ char size_[{size}];")
            elif line.strip():
                raise LayoutError(f"kernel.h: not understood: {line!r}")
        elif line == "};":
            out.append("}; } __attribute__((packed));")
            name = None
        else:
            out.append(_field(name, line, btf))
    return "\n".join(out) + "\n"


def _field(struct_name: str, line: str, btf: Btf) -> str:
    match = _FIELD_LINE.fullmatch(line)
    if not match:
        raise LayoutError(f"kernel.h: not understood: {line!r}")
    ctype, base, field, count, comment = match[1], match[2], match[3], match[4], match[5]
    found = btf.member(struct_name, field)
    if found is None:
        if "optional" in comment:
            return f"\n#define NETIO_LACKS_{struct_name}_{field} 1"
        raise LayoutError(f"this kernel's BTF has no field {field} in struct {struct_name}")
    # Arrays are views on the first bytes of what may be longer; a scalar must be what it is.
    scalar = 8 if "*" in ctype else _SIZES.get(base)
    if count is None and scalar is not None and found.size != scalar:
        raise LayoutError(
            f"{struct_name}.{field} has {found.size} bytes in this kernel, not {scalar}"
        )
    array = f"[{count}]" if count else ""
    padding = f"char at_{field}_[{found.offset}];"
    return f"struct {{ {padding} {ctype}{field}{array}; }} __attribute__((packed));"
