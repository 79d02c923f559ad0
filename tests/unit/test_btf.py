"""The BTF reader: right on this kernel, and an error, never a crash or a hang, on rubbish."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netioctl.wire import layout
from netioctl.wire.errors import LayoutError, PrerequisiteError
from netiod import btf

KERNEL_H = (layout.event_h().parent / "kernel.h").read_text()


def build(types: list[bytes], strings: bytes) -> bytes:
    """A BTF blob of `types` and `strings`."""
    data = b"".join(types)
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(data), len(data), len(strings))
    return header + data + strings


def of_kind(name: int, kind: int, vlen: int, size: int, tail: bytes = b"") -> bytes:
    return struct.pack("<III", name, kind << 24 | vlen, size) + tail


STRINGS = b"\0sock\0a\0b\0int\0"
SOCK, A, B, INT = 1, 6, 8, 10


def member(name: int, type_id: int, bit: int) -> bytes:
    return struct.pack("<III", name, type_id, bit)


def test_this_kernels_types_are_written_out() -> None:
    if not btf.VMLINUX.exists():
        pytest.skip("this kernel has no BTF at /sys/kernel/btf/vmlinux")
    text = btf.write_kernel_h(KERNEL_H, btf.Btf.of_kernel())
    for name in ("struct sock ", "skc_family", "inet_sport", "struct unix_sock "):
        assert name in text


def test_anonymous_members_are_searched_and_offsets_add_up() -> None:
    types = [
        of_kind(INT, 1, 0, 4, struct.pack("<I", 32)),
        of_kind(0, 5, 1, 4, member(B, 1, 0)),  # anonymous union { int b; }
        of_kind(SOCK, 4, 2, 8, member(A, 1, 0) + member(0, 2, 32)),
    ]
    parsed = btf.Btf(build(types, STRINGS))
    assert parsed.member("sock", "b") == btf.Member(4, 4)
    assert parsed.member("sock", "c") is None
    assert parsed.member("nothing", "a") is None
    assert parsed.struct_size("sock") == 8


def test_structs_and_functions_have_the_verifiers_numbers() -> None:
    types = [
        of_kind(INT, 1, 0, 4, struct.pack("<I", 32)),
        of_kind(A, 13, 0, 0),  # a function's type
        of_kind(SOCK, 4, 1, 4, member(B, 1, 0)),
        of_kind(B, 12, 1, 2),  # a global function
    ]
    parsed = btf.Btf(build(types, STRINGS))
    assert parsed.struct_id("sock") == 3
    assert parsed.function_id("b") == 4
    assert parsed.function_id("sock") is None
    assert parsed.struct_id("nothing") is None


def test_a_bit_field_is_refused() -> None:
    types = [
        of_kind(INT, 1, 0, 4, struct.pack("<I", 32)),
        struct.pack("<III", SOCK, 1 << 31 | 4 << 24 | 1, 4) + member(A, 1, 3 << 24 | 8),
    ]
    with pytest.raises(LayoutError, match="bit-field"):
        btf.Btf(build(types, STRINGS)).member("sock", "a")


def test_a_type_that_contains_itself_ends_in_an_error() -> None:
    itself = of_kind(SOCK, 4, 2, 8, member(0, 1, 0) + member(0, 1, 0))
    with pytest.raises(LayoutError, match="without end"):
        btf.Btf(build([itself], STRINGS)).member("sock", "a")


def test_a_typedef_of_itself_ends_in_an_error() -> None:
    types = [of_kind(A, 8, 0, 1), of_kind(SOCK, 4, 1, 8, member(0, 1, 0))]
    with pytest.raises(LayoutError, match="itself"):
        btf.Btf(build(types, STRINGS)).member("sock", "a")


def test_a_kernel_without_btf_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="CONFIG_DEBUG_INFO_BTF"):
        btf.Btf.of_kernel(tmp_path / "vmlinux")


def test_a_missing_field_is_named() -> None:
    types = [of_kind(SOCK, 4, 0, 8)]
    text = "struct sock {\n\tu16 skc_family;\t\t/* x */\n};\n"
    with pytest.raises(LayoutError, match="no field skc_family in struct sock"):
        btf.write_kernel_h(text, btf.Btf(build(types, STRINGS)))


def test_a_missing_optional_field_is_defined_as_lacking() -> None:
    text = "struct sock {\n\tu16 gone;\t\t/* x; optional: CONFIG_X */\n};\n"
    out = btf.write_kernel_h(text, btf.Btf(build([of_kind(SOCK, 4, 0, 8)], STRINGS)))
    assert "#define NETIO_LACKS_sock_gone 1" in out


def test_a_field_of_another_size_is_refused() -> None:
    types = [
        of_kind(INT, 1, 0, 4, struct.pack("<I", 32)),
        of_kind(SOCK, 4, 1, 8, member(A, 1, 0)),
    ]
    text = "struct sock {\n\tu16 a;\t\t/* x */\n};\n"
    with pytest.raises(LayoutError, match="has 4 bytes in this kernel, not 2"):
        btf.write_kernel_h(text, btf.Btf(build(types, STRINGS)))


@given(st.binary(max_size=400))
def test_random_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(LayoutError):
        btf.Btf(data)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=12, max_size=60), max_size=20), st.binary(max_size=40))
def test_random_types_are_an_error_or_an_answer(types: list[bytes], strings: bytes) -> None:
    blob = build([struct.pack("<I", 1) + t for t in types], b"\0sock\0a\0" + strings)
    with contextlib.suppress(LayoutError):
        btf.Btf(blob).member("sock", "a")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_kernel_btf_is_an_error_or_an_answer(data: st.DataObject) -> None:
    if not btf.VMLINUX.exists():
        pytest.skip("this kernel has no BTF at /sys/kernel/btf/vmlinux")
    whole = bytearray(btf.VMLINUX.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole))) :]
    else:
        for _ in range(20):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LayoutError):
        btf.write_kernel_h(KERNEL_H, btf.Btf(bytes(whole)))
