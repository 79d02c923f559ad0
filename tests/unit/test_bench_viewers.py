"""What the benchmark's viewers make of what they read: the light one, and the slow terminal."""

from __future__ import annotations

from typing import Any

import pytest

from netioctl.wire import PROTOCOL_VERSION, layout
from netioctl.wire.frames import Header, topic
from tests.bench.measurements.slow_terminal import newest_age
from tests.bench.subscriber import Count

#: 2026-01-01 12:00:01 UTC.
NOW = 1767268801.0
LINE = (
    b"%s SEND 13856   13899   python3         sendto     udp       64 bytes 127.0.0.1:1 -> ...\r\n"
)


class _Stream:
    """Gives frames once."""

    def __init__(self, *frames: bytes) -> None:
        self._frames = list(frames)

    def frames(self, limit: int) -> list[bytes]:
        given, self._frames = self._frames[:limit], self._frames[limit:]
        return given


def frame(pid: int, first: int, events: int, lost: int = 0) -> bytes:
    size = layout.load().structs["event"].size
    header = Header(PROTOCOL_VERSION, 0, 0, 0, first, events, 0, 5, pid, 0, lost, 0, b"x")
    return topic(pid) + header.pack() + bytes(events * size)


def count(*frames: bytes, pids: tuple[int, ...] = (1, 2)) -> Count:
    stream: Any = _Stream(*frames)
    counted = Count(stream, pids)
    counted.take()
    return counted


def test_each_process_has_a_count_of_its_own() -> None:
    counted = count(frame(1, 100, 2), frame(2, 7, 1), frame(1, 102, 3), frame(2, 8, 1))
    assert (counted.events, counted.missed, counted.frames) == (7, 0, 4)
    assert counted.waiting == set()


def test_gaps_and_losses_are_summed() -> None:
    frames = (frame(1, 0, 1, 5), frame(2, 0, 1, 0), frame(1, 4, 1, 6), frame(2, 2, 1, 9))
    counted = count(*frames)
    assert (counted.missed, counted.kernel) == (3 + 1, 1 + 9)


def test_it_waits_for_all() -> None:
    assert count(frame(2, 0, 0)).waiting == {1}


@pytest.mark.parametrize(
    ("times", "age"),
    [
        ((), None),
        ((b"12:00:00.750000",), 0.25),
        ((b"12:00:00.250000", b"12:00:00.500000", b"12:00:00.000000"), 0.5),
        # In other time zones, one with a half hour among them.
        ((b"04:00:00.750000",), 0.25),
        ((b"17:30:00.750000",), 0.25),
        # The hour, and the day, began meanwhile.
        ((b"11:59:58.000000",), 3.0),
        # Clocks are not read at once.
        ((b"12:00:01.125000",), -0.125),
    ],
)
def test_age_of_the_screen(times: tuple[bytes, ...], age: float | None) -> None:
    assert newest_age(b"".join(LINE % time for time in times), NOW) == age


def test_only_events_have_an_age() -> None:
    lines = b"TIME            DIR  PID\r\n-- 489 events lost (kernel buffer) --\r\n"
    assert newest_age(lines + b"12:00:00.750000 was the time\r\n", NOW) is None
