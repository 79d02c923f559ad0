"""Order among accesses to memory that is shared with the kernel side, where a machine needs it."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from typing import Any


def _no_fence() -> None:
    """x86 orders loads with loads and stores with stores."""


def _make_fence() -> Callable[[], Any]:
    if platform.machine() == "x86_64":
        return _no_fence
    whole = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
    return lambda: whole(5)  # memory_order_seq_cst


#: Accesses before it are seen before those after it.
fence = _make_fence()
