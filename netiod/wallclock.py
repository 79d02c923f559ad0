"""What turns the kernel's monotonic times into times of day."""

from __future__ import annotations

import time


class WallClock:
    """Nanoseconds to add to CLOCK_MONOTONIC for CLOCK_REALTIME, both in nanoseconds.

    The two clocks cannot be read at once, and this process may lose its processor in between. So
    what was found before stays as long as it is within what can be now: times of one process
    never run back because of when they were looked at. A clock that is set, is followed.
    """

    def __init__(self) -> None:
        self._offset: int | None = None

    def offset(self) -> int:
        """The sum's second operand, as of now."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        least, most = wall - after, wall - before
        found = (least + most) // 2 if self._offset is None else self._offset
        self._offset = min(max(found, least), most)
        return self._offset
