"""What the broker writes into frames by itself."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from netioctl.wire import frames
from netiod import publisher, wallclock
from netiod.holdings import Holding
from netiod.publisher import Publisher
from netiod.wallclock import WallClock


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def made(sent: list[bytes]) -> Publisher:
    """A Publisher of which nothing but frames is asked."""
    one = object.__new__(Publisher)
    layout = SimpleNamespace(fingerprint=7)
    one._kernel = SimpleNamespace(layout=layout, event=SimpleNamespace(size=32))  # type: ignore[assignment]
    one._epoch = 1
    one._wall = WallClock()
    one._send = lambda _holding, frame, _count: sent.append(frame)
    return one


def holding() -> Holding:
    return Holding(1234, 99, "curl", 1000, time.time())


@pytest.mark.parametrize("step", [3600.0, -3600.0], ids=["forward", "back"])
def test_wall_times_follow_a_clock_that_steps(
    made: Publisher, sent: list[bytes], monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """NTP or a person sets the clock, or the machine has slept: the next frame knows."""
    one = holding()
    made.send_empty(one)
    real = time.time_ns

    class Stepped:
        time_ns = staticmethod(lambda: real() + int(step * 1e9))
        monotonic_ns = staticmethod(time.monotonic_ns)

    monkeypatch.setattr(wallclock, "time", Stepped)
    made.send_empty(one)
    offsets = [frames.unpack(frame, 32)[0].wall_offset for frame in sent]
    assert (offsets[1] - offsets[0]) / 1e9 == pytest.approx(step, abs=0.5)


def test_times_do_not_run_back_when_the_processor_is_lost_between_two_clocks(
    made: Publisher, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        """A clock that moves by 1 us with each look, and by as much as `pauses` says next."""

        now = 0
        pauses: ClassVar[list[int]] = []

        @classmethod
        def monotonic_ns(cls) -> int:
            cls.now += 1000 + (cls.pauses.pop(0) if cls.pauses else 0)
            return cls.now

        @classmethod
        def time_ns(cls) -> int:
            return cls.monotonic_ns() + 10**18

    monkeypatch.setattr(wallclock, "time", Interrupted)
    one = holding()
    for pauses in ([], [0, 5_000_000, 0], [0, 0, 5_000_000], []):
        Interrupted.pauses = pauses
        made.send_empty(one)
    offsets = {frames.unpack(frame, 32)[0].wall_offset for frame in sent}
    assert offsets == {10**18}


def test_an_empty_frame_moves_no_index(made: Publisher, sent: list[bytes]) -> None:
    one = holding()
    one.published = 41
    made.send_empty(one)
    (header, events, entries) = frames.unpack(sent[0], 32)
    assert (header.first, header.events, len(events), len(entries)) == (41, 0, 0, 0)
    assert one.published == 41


def test_a_batch_is_split_by_process_and_keeps_its_order() -> None:
    batch = np.zeros((6, 8), np.uint32)
    batch[:, 2] = [5, 7, 5, 7, 7, 5]
    batch[:, 0] = range(6)
    parts: dict[int, Any] = dict(publisher._by_process(batch))
    assert {pid: records[:, 0].tolist() for pid, records in parts.items()} == {
        5: [0, 2, 5],
        7: [1, 3, 4],
    }
