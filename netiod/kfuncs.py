"""Calls of the kernel's own functions (kfuncs), for which BCC's compiler has no words.

The C text calls a helper by a number that no helper has; here the call in the compiled program
is made one of the function, by its number in the kernel's BTF.
"""

from __future__ import annotations

from collections.abc import Iterable

from netiod.btf import Btf
from netiod.compiled import INSN

#: Function: the helper number that stands for it in the C text.
_STANDS_FOR = {"bpf_rdonly_cast": 0x6E657400}
#: BPF_JMP | BPF_CALL; source register BPF_PSEUDO_KFUNC_CALL.
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


def link(code: bytes, types: Btf) -> bytes:
    """A compiled program with the calls put in."""
    for name, stands in _STANDS_FOR.items():
        number = types.function_id(name)
        if number is not None:
            wanted = INSN.pack(_CALL, _HELPER, 0, stands)
            code = _replaced(code, wanted, INSN.pack(_CALL, _KFUNC, 0, number))
    return code


def _replaced(code: bytes, old: bytes, new: bytes) -> bytes:
    changed, at = bytearray(code), -1
    while (at := code.find(old, at + 1)) >= 0:
        if at % INSN.size == 0:
            changed[at : at + INSN.size] = new
    return bytes(changed)
