"""C text to programs, by BCC.

The only module that imports bcc, and only inside compile_text(): the compiler it brings is 100 MB
that no process should keep. It reads our own C text, with what the kernel says of its own types,
and nothing else.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netioctl.wire import layout
from netiod.compiled import Compiled, MapShape, with_maps

#: BCC since 0.28 says in a program's name which module's function it is for.
_OF_KERNEL = "__vmlinux__"


def version() -> str:
    """BCC's, without importing it; "" if that cannot be told."""
    spec = importlib.util.find_spec("bcc")
    for place in spec.submodule_search_locations or () if spec else ():
        try:
            return Path(place, "version.py").read_text()
        except OSError:
            continue
    return ""


def compile_text(text: str, cflags: Sequence[str]) -> Compiled:
    """Compile; errors of the compiler go to descriptor 2.

    Raises:
        Exception: whatever bcc raises.
    """
    # Where BCC looks for the kernel's headers: it insists on some.
    os.environ["BCC_KERNEL_SOURCE"] = str(layout.event_h().parent / "include")
    from bcc import BPF
    from bcc.libbcc import lib

    class Unattached(BPF):  # type: ignore[misc]
        """bcc would load and attach by function name."""

        def _trace_autoload(self) -> None:
            pass

    made = Unattached(text=text.encode(), cflags=list(cflags))
    try:
        return _taken(lib, made.module)
    finally:
        made.cleanup()


def _taken(lib: Any, module: int) -> Compiled:
    shapes, places = [], {}
    for i in range(_look(lib, "bpf_num_tables", ctypes.c_size_t, module)):
        places[_look(lib, "bpf_table_fd_id", ctypes.c_int, module, i)] = i
        shapes.append(
            MapShape(
                _look(lib, "bpf_table_name", ctypes.c_char_p, module, i).decode(),
                _look(lib, "bpf_table_type_id", ctypes.c_int, module, i),
                _look(lib, "bpf_table_key_size_id", ctypes.c_size_t, module, i),
                _look(lib, "bpf_table_leaf_size_id", ctypes.c_size_t, module, i),
                _look(lib, "bpf_table_max_entries_id", ctypes.c_size_t, module, i),
                _look(lib, "bpf_table_flags_id", ctypes.c_int, module, i),
            )
        )
    programs = {}
    for i in range(lib.bpf_num_functions(module)):
        name = lib.bpf_function_name(module, i)
        start, size = (f(module, name) for f in (lib.bpf_function_start, lib.bpf_function_size))
        code = ctypes.string_at(start, size)
        programs[name.decode().replace(_OF_KERNEL, "__")] = with_maps(code, places)
    return Compiled(programs, tuple(shapes))


def _look(lib: Any, name: str, result: Any, module: int, *place: int) -> Any:
    """Call a function of <bcc/bcc_common.h> that bcc itself may not declare."""
    function = lib[name]
    function.restype = result
    function.argtypes = [ctypes.c_void_p, *(ctypes.c_size_t for _ in place)]
    return function(module, *place)
