"""netioctl: watch what processes send and receive; client of netiod.

The names in __all__ are the public Python API: docs/PYTHON.md has examples. Each is imported when
it is first used, so that a command imports no more than it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from netioctl.aio import items as items
    from netioctl.answers import Changes as Changes
    from netioctl.answers import Failure as Failure
    from netioctl.answers import Held as Held
    from netioctl.answers import Process as Process
    from netioctl.answers import Row as Row
    from netioctl.answers import Summary as Summary
    from netioctl.answers import Totals as Totals
    from netioctl.arrays import columns as columns
    from netioctl.client import Client as Client
    from netioctl.session import Session as Session
    from netioctl.stream import Events as Events
    from netioctl.stream import Lost as Lost
    from netioctl.targets import Selector as Selector
    from netioctl.targets import Targets as Targets
    from netioctl.watching import Began as Began
    from netioctl.watching import Escaped as Escaped
    from netioctl.watching import Gone as Gone
    from netioctl.watching import Interrupted as Interrupted
    from netioctl.watching import Item as Item
    from netioctl.watching import Waiting as Waiting
    from netioctl.wire.endpoints import Connection as Connection
    from netioctl.wire.errors import DaemonUnreachable as DaemonUnreachable
    from netioctl.wire.errors import FilterFull as FilterFull
    from netioctl.wire.errors import LimitReached as LimitReached
    from netioctl.wire.errors import NetioError as NetioError
    from netioctl.wire.errors import NoSuchProcess as NoSuchProcess
    from netioctl.wire.errors import NotHeld as NotHeld
    from netioctl.wire.errors import ProtocolError as ProtocolError
    from netioctl.wire.errors import RequestError as RequestError
    from netioctl.wire.errors import UsageError as UsageError
    from netioctl.wire.errors import VersionMismatch as VersionMismatch

#: Module to the public names that it has.
_MODULES = {
    "aio": ("items",),
    "answers": ("Changes", "Failure", "Held", "Process", "Row", "Summary", "Totals"),
    "arrays": ("columns",),
    "client": ("Client",),
    "session": ("Session",),
    "stream": ("Events", "Lost"),
    "targets": ("Selector", "Targets"),
    "watching": ("Began", "Escaped", "Gone", "Interrupted", "Item", "Waiting"),
    "wire.endpoints": ("Connection",),
    "wire.errors": (
        "DaemonUnreachable",
        "FilterFull",
        "LimitReached",
        "NetioError",
        "NoSuchProcess",
        "NotHeld",
        "ProtocolError",
        "RequestError",
        "UsageError",
        "VersionMismatch",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 # names, all of them


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
