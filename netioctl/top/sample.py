"""What is read of the daemon's counters at one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netioctl.answers import Held, Row

#: A process: PID and start time.
Key = tuple[int, int]


class Connections(NamedTuple):
    """The rows of some processes, read at `time` (monotonic seconds).

    `covered`: the processes whose rows these are, or have not changed since they were read last.
    """

    time: float
    rows: Mapping[Key, tuple[Row, ...]]
    covered: frozenset[Key]


class Sample(NamedTuple):
    """`held` was read at `time` (monotonic seconds), which was `wall` (epoch seconds).

    None: only `connections` were asked for, or none.
    """

    time: float
    wall: float
    held: tuple[Held, ...] | None
    connections: Connections | None
