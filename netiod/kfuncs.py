"""Calls of the kernel's own functions (kfuncs), for which BCC's compiler has no words.

The C text calls a helper by a number that no helper has; here the call in the compiled program
is made one of the function, by its number in the kernel's BTF.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from typing import Any

from netiod.btf import Btf

#: Function: the helper number that stands for it in the C text.
_STANDS_FOR = {"bpf_rdonly_cast": 0x6E657400}
#: struct bpf_insn of <linux/bpf.h>: BPF_JMP | BPF_CALL; source register BPF_PSEUDO_KFUNC_CALL.
_INSN = struct.Struct("<BBhi")
_CALL, _HELPER, _KFUNC = 0x85, 0, 2 << 4


def cflags(types: Btf, structs: Iterable[str]) -> list[str]:
    """What the C text has to know: the functions that this kernel has, and numbers of structs."""
    there = [name for name in _STANDS_FOR if types.has_function(name)]
    if not there:
        return []
    return [
        *(f"-DNETIO_KFUNC_{name}={_STANDS_FOR[name]}" for name in there),
        *(f"-DNETIO_TYPE_{name}={types.struct_id(name)}" for name in structs),
    ]


def link(module: Any, lib: Any, types: Btf) -> None:
    """Put the calls into all programs of a module of `lib` (libbcc), before they are loaded."""
    numbers = {
        stands: number
        for name, stands in _STANDS_FOR.items()
        if (number := types.function_id(name)) is not None
    }
    if not numbers:
        return
    for i in range(lib.bpf_num_functions(module)):
        program = lib.bpf_function_name(module, i)
        start, size = (f(module, program) for f in (lib.bpf_function_start, lib.bpf_function_size))
        code = (ctypes.c_char * size).from_address(start)
        for at, insn in enumerate(_INSN.iter_unpack(code.raw)):
            opcode, registers, offset, immediate = insn
            if (opcode, registers) == (_CALL, _HELPER) and immediate in numbers:
                _INSN.pack_into(code, at * _INSN.size, _CALL, _KFUNC, offset, numbers[immediate])
