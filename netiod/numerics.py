"""numpy for the broker, without those of its parts that take memory and are never used."""

from __future__ import annotations

import sys
from types import ModuleType

#: Before version 2 numpy imports them at once: 7 MB, half of it libcrypto, for numpy.random.
_UNUSED = ("numpy.ctypeslib", "numpy.ma", "numpy.polynomial", "numpy.random")


def load() -> None:
    """Import numpy, unless it is there; its unused parts may be empty modules from then on."""
    if "numpy" in sys.modules:
        return
    empty = {name: ModuleType(name) for name in _UNUSED}
    sys.modules.update(empty)
    try:
        import numpy  # noqa: F401
    finally:
        for name in empty:
            del sys.modules[name]
