"""Calls of kernel functions, put into compiled programs."""

from __future__ import annotations

import ctypes
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


class Lib:
    """libbcc with some compiled programs, whose instructions are in memory."""

    def __init__(self, *programs: bytes) -> None:
        self.memory = [ctypes.create_string_buffer(each, len(each)) for each in programs]

    def bpf_num_functions(self, _module: Any) -> int:
        return len(self.memory)

    def bpf_function_name(self, _module: Any, number: int) -> bytes:
        return b"program%d" % number

    def bpf_function_start(self, _module: Any, name: bytes) -> int:
        return ctypes.addressof(self.memory[int(name[7:])])

    def bpf_function_size(self, _module: Any, name: bytes) -> int:
        return len(self.memory[int(name[7:])])


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
    lib = Lib(call(number) + constant + call(14) + _EXIT, call(14) + call(number) + _EXIT)
    kfuncs.link(None, lib, types)
    placed = call(65477, 2 << 4)
    assert lib.memory[0].raw == placed + constant + call(14) + _EXIT
    assert lib.memory[1].raw == call(14) + placed + _EXIT


def test_a_kernel_without_the_function_gets_no_call() -> None:
    types: Any = Types({})
    assert kfuncs.cflags(types, ["sock"]) == []
    lib = Lib(call(0x6E657400) + _EXIT)
    kfuncs.link(None, lib, types)
    assert lib.memory[0].raw == call(0x6E657400) + _EXIT
