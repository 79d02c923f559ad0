"""What the broker writes into frames by itself."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from netioctl.wire import frames
from netiod import publisher, wallclock
from netiod.described import Described
from netiod.holding import Holding
from netiod.policy import Caller
from netiod.publisher import Publisher
from netiod.wallclock import WallClock


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def made(sent: list[bytes]) -> Publisher:
    """A Publisher of which nothing but frames is asked."""
    one = object.__new__(Publisher)
    one._flags = 0
    layout = SimpleNamespace(fingerprint=7)
    one._kernel = SimpleNamespace(layout=layout, event=SimpleNamespace(size=32))  # type: ignore[assignment]
    one._epoch = 1
    one._wall = WallClock()
    one._offset, one._now = 0, 0.0
    one._streams = SimpleNamespace(  # type: ignore[assignment]
        send=lambda _holding, pieces, _count: sent.append(b"".join(pieces)), flush=lambda: None
    )
    one._connections = Known()  # type: ignore[assignment]
    return one


class Known:
    """Stands for Connections: every id below 10,000 has an entry, id 0 and others have none."""

    def __init__(self) -> None:
        self.described = Described(10_000)

    def entry(self, number: int) -> bytes:
        if not 0 < number < 10_000:
            return b""
        return frames.pack_entry(frames.Entry(number, 0, bytes(64), b"/" * 100, b""))

    def introduce(self, _pid: int, _start: int) -> None:
        self.described.forget(range(10_000))


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
    whole, cuts = publisher._by_process(batch)
    parts = [whole[begin:end] for begin, end in zip(cuts, cuts[1:])]
    assert [set(part[:, 2].tolist()) for part in parts] == [{5}, {7}]
    assert [part[:, 0].tolist() for part in parts] == [[0, 2, 5], [1, 3, 4]]


def test_a_batch_of_one_process_is_one_part() -> None:
    batch = np.full((3, 8), 5, np.uint32)
    whole, cuts = publisher._by_process(batch)
    assert (whole.tolist(), cuts) == (batch.tolist(), [0, 3])


def events(*conns: int) -> Any:
    """Events on these connections."""
    records = np.zeros((len(conns), 8), np.uint32)
    records[:, 4] = conns
    return records


def described(sent: list[bytes]) -> list[list[int]]:
    """The ids that each frame describes; the frames are gone after that."""
    tails = [frames.unpack(frame, 32)[2] for frame in sent]
    sent.clear()
    return [[entry.id for entry in frames.entries(tail)] for tail in tails]


def watched() -> Holding:
    one = holding()
    one.leases[Root()] = True
    return one


class Root:
    """A viewer."""

    caller = Caller(0, 0, True)


def test_a_connection_is_described_once_and_again_after_an_empty_frame(
    made: Publisher, sent: list[bytes]
) -> None:
    one = watched()
    for conns in ((3, 4, 3), (4, 5, 0), (3, 4, 5)):
        made._publish(one, events(*conns), True)
    assert described(sent) == [[3, 4], [5], []]
    made.send_empty(one)
    made._publish(one, events(4, 4), True)
    made._publish(one, events(4, 3), True)
    assert described(sent) == [[], [4], [3]]


def test_one_that_is_announced_late_is_described_then(made: Publisher, sent: list[bytes]) -> None:
    one = watched()
    made._publish(one, events(10_001), True)
    known: Any = made._connections
    known.entry = lambda number: frames.pack_entry(frames.Entry(number, 0, bytes(64), b"", b""))
    made._publish(one, events(10_001), True)
    assert described(sent) == [[], [10_001]]


def test_frames_have_room_for_all_that_is_new(made: Publisher, sent: list[bytes]) -> None:
    """Every event goes out, and its connection is described in its frame or in one before."""
    one = watched()
    conns = [*range(1, 3000), *range(1, 3000)]
    made._publish(one, events(*conns), True)
    assert max(map(len, sent)) <= frames.MAX_FRAME
    known: set[int] = set()
    used: list[int] = []
    for frame in sent:
        header, data, tail = frames.unpack(frame, 32)
        known |= {entry.id for entry in frames.entries(tail)}
        own = data.cast("I")[4::8].tolist()
        assert header.first == len(used)
        assert known >= set(own)
        used += own
    assert used == conns
    assert sum(map(len, described(sent))) == 2999


def test_two_ids_in_one_place_are_both_described() -> None:
    some = Described(4)
    some.add([1])
    some.add([9])
    assert some.lacks(np.array([0, 1, 9, 2], np.uint32)).tolist() == [False, True, False, True]
    some.forget([1])
    assert some.lacks(np.array([9], np.uint32)).all()
