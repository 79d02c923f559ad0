"""Calls of kernel functions, put into compiled programs."""

from __future__ import annotations

import struct
from typing import Any

from netiod import kfuncs

_EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)


class Types:
    """BTF with one function and one struct."""

    def __init__(self, functions: dict[str, int]) -> None:
        self._functions = functions

    def function_id(self, name: str) -> int | None:
        return self._functions.get(name)

    def has_function(self, name: str) -> bool:
        return name in self._functions

    def struct_id(self, _name: str) -> int | None:
        return 77


def call(number: int, registers: int = 0) -> bytes:
    return struct.pack("<BBhi", 0x85, registers, 0, number)


def stands_for(flags: list[str]) -> int:
    (flag,) = (each for each in flags if each.startswith("-DNETIO_KFUNC_bpf_rdonly_cast="))
    return int(flag.split("=")[1])


def test_each_call_is_put_in_and_nothing_else_is_touched() -> None:
    types: Any = Types({"bpf_rdonly_cast": 65477})
    number = stands_for(kfuncs.cflags(types, ["sock"]))
    assert "-DNETIO_TYPE_sock=77" in kfuncs.cflags(types, ["sock"])
    # A constant that is the number, too, and a helper's call.
    constant = struct.pack("<BBhi", 0xB7, 1, 0, number)
    placed = call(65477, 2 << 4)
    one = kfuncs.link(call(number) + constant + call(14) + _EXIT, types)
    assert one == placed + constant + call(14) + _EXIT
    assert kfuncs.link(call(14) + call(number) + _EXIT, types) == call(14) + placed + _EXIT


def test_a_kernel_without_the_function_gets_no_call() -> None:
    types: Any = Types({})
    assert kfuncs.cflags(types, ["sock"]) == []
    code = call(0x6E657400) + _EXIT
    assert kfuncs.link(code, types) == code
