"""Operations that failed: which events they are, and what they are called."""

from __future__ import annotations

import errno
from functools import lru_cache

from netioctl.wire import layout


def name(number: int) -> str:
    """EPIPE, ECONNRESET ...; a number where it has no name."""
    return errno.errorcode.get(number, str(number))


def without(data: memoryview) -> memoryview:
    """These events, struct event after struct event, but for those that failed."""
    size, at = _place()
    errors = data.cast("H")[at // 2 :: size // 2]
    if not any(errors):
        return data
    return memoryview(
        b"".join(data[n * size : (n + 1) * size] for n, error in enumerate(errors) if not error)
    )


@lru_cache(maxsize=1)
def _place() -> tuple[int, int]:
    record = layout.load().structs["event"]
    return record.size, record.offset("error")
