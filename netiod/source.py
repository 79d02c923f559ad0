"""The C text of a back-end, and what it is told of this kernel and of settings."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netioctl.wire import layout
from netiod import backends, btf, kfuncs
from netiod.cells import number_of_cells
from netiod.features import Features
from netiod.selector import SELECTORS

if TYPE_CHECKING:
    from netiod.settings import Settings

#: Bytes of the ring that carries new connections and exits: about 3,000 a batch.
META_RING = 1 << 20
#: Unix socket names kept; a connection beyond them is shown by its peer's PID.
_MAX_NAMES = 8192
#: netiod's own processes, and viewers that use selectors.
_MAX_PASSED_OVER = 8192
#: Processes, by the low bits of their PID, of which is remembered that no selector wants them.
_UNWANTED = 4096
#: C files that every back-end needs, in this order; its own come after them.
_COMMON = ("maps.c", "processes.c", "cgroups.c", "core.c", "hooks/regs.h")
_FILTER_WORDS = (4_194_304 + 16) // 16
#: Four places for each connection, by hash: few find theirs taken by another.
_NEAR_BITS = 2
#: Structs that are loaded from, where the kernel can tell the verifier what a pointer leads to.
_KNOWN = ("sock_common", "pt_regs")
#: Helpers that not every kernel has, and that the C code can do without.
_HELPERS = ("bpf_task_pt_regs",)
_PAGE = resource.getpagesize()


class Source:
    """C text for this kernel and these settings.

    Raises:
        LayoutError: a struct of the kernel is not as it is known.
    """

    def __init__(self, kernel: Features, settings: Settings) -> None:
        self._kernel, self._settings = kernel, settings
        self._kernel_h = btf.write_kernel_h((_top() / "kernel.h").read_text(), kernel.types)

    def text(self, files: Sequence[str]) -> str:
        """One text, because BCC rewrites map calls only in its main file; `files`: below
        bpf/hooks."""
        return "\n".join(
            (
                (_top() / "event.h").read_text(),
                _layout_checks(),
                self._kernel_h,
                *((_top() / name).read_text() for name in _COMMON),
                *((_top() / "hooks" / name).read_text() for name in files),
            )
        )

    def cflags(self, files: Sequence[str]) -> list[str]:
        """The compiler's options for it."""
        kernel, settings = self._kernel, self._settings
        connections = settings.max_connections
        return [
            f"-DNETIO_FILTER_WORDS={_FILTER_WORDS}",
            f"-DNETIO_MAX_PIDS={settings.max_pids}",
            f"-DNETIO_CELLS={number_of_cells(settings.max_pids)}",
            # Those of before the broker was replaced as well, and two cgroups of each path.
            f"-DNETIO_MAX_SELECTORS={6 * SELECTORS}",
            f"-DNETIO_MAX_PATHS={2 * SELECTORS}",
            f"-DNETIO_MAX_PASSED_OVER={_MAX_PASSED_OVER}",
            f"-DNETIO_UNWANTED={_UNWANTED}",
            f"-DNETIO_MAX_CONNECTIONS={connections}",
            f"-DNETIO_NEAR_BITS={_NEAR_BITS + max(1, (connections - 1).bit_length())}",
            f"-DNETIO_MAX_NAMES={_MAX_NAMES}",
            f"-DNETIO_RING_PAGES={settings.ring_size // _PAGE}",
            f"-DNETIO_META_PAGES={META_RING // _PAGE}",
            f"-DNETIO_CPUS={os.sysconf('SC_NPROCESSORS_CONF')}",
            *(f"-DNETIO_HAS_{helper}" for helper in _HELPERS if kernel.types.has_function(helper)),
            *(["-DNETIO_HAS_atomic_fetch"] if kernel.atomic_fetch else []),
            *kfuncs.cflags(kernel.types, _KNOWN),
            *(["-DNETIO_CHOOSES_FIRST"] if backends.chooses_first(files) else []),
            "-Wno-everything",
        ]


def _top() -> Path:
    """The directory of the C files."""
    return layout.event_h().parent


def _layout_checks() -> str:
    """Assertions that BCC's compiler lays the records out as layout.py read them."""
    lines = []
    for record in layout.load().structs.values():
        name = f"struct {record.name}"
        lines.append(f'_Static_assert(sizeof({name}) == {record.size}, "layout");')
        lines += [
            f'_Static_assert(__builtin_offsetof({name}, {f.name}) == {f.offset}, "layout");'
            for f in record.fields
        ]
    return "\n".join(lines)
