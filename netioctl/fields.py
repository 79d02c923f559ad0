"""The fields of the daemon's messages, checked as they are read.

Each function raises ProtocolError where a field is missing, or is something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from netioctl.wire.control import Object
from netioctl.wire.errors import ProtocolError

T = TypeVar("T")


def object_(value: Any) -> Object:
    """`value`, which has to be an object."""
    if not isinstance(value, dict):
        raise ProtocolError("netiod's answer is not understood: an object is missing")
    return value


def integer(item: Object, name: str) -> int:
    """A whole number."""
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(name)


def number(item: Object, name: str) -> float:
    """A number."""
    value = item.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _wrong(name)


def text(item: Object, name: str) -> str:
    """A text."""
    value = item.get(name)
    if isinstance(value, str):
        return value
    raise _wrong(name)


def boolean(item: Object, name: str) -> bool:
    """True or false."""
    value = item.get(name)
    if isinstance(value, bool):
        return value
    raise _wrong(name)


def optional(item: Object, name: str, read: Callable[[Object, str], T]) -> T | None:
    """What `read` makes of a field; None where it is null or missing."""
    return None if item.get(name) is None else read(item, name)


def list_(item: Object, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    """Each of a list, as `read` makes it."""
    value = item.get(name)
    if not isinstance(value, list):
        raise _wrong(name)
    return tuple(read(each) for each in value)


def _wrong(name: str) -> ProtocolError:
    return ProtocolError(f"netiod's answer is not understood: {name} is missing or wrong")
