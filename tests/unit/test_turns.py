"""Users are served in turn, within a rate."""

from __future__ import annotations

import pytest

from netioctl.wire.errors import LimitReached
from netiod.limits import REQUESTS_A_SECOND, REQUESTS_AT_ONCE, Bucket, Held
from netiod.policy import Caller
from netiod.turns import SLICE, Turns

ALICE, BOB = 1000, 1001


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """`pieces` of work, each of so many seconds."""

    def __init__(self, clock: Clock, pieces: int, seconds: float = 1e-5, cost: float = 1) -> None:
        self.clock, self.pieces, self.seconds, self.cost = clock, pieces, seconds, cost
        self.done: list[float] = []

    def step(self) -> float:
        self.clock.now += self.seconds
        self.done.append(self.clock.now)
        return self.cost if len(self.done) < self.pieces else -1


def test_nobody_waits_for_more_than_a_slice_of_each_other_user() -> None:
    clock = Clock()
    turns = Turns(clock)
    for _ in range(100):
        turns.add(ALICE, Worker(clock, 10_000))
    his = Worker(clock, 1)
    turns.round()
    turns.add(BOB, his)
    began = clock.now
    turns.round()
    assert his.done
    assert his.done[0] - began <= SLICE + 1e-4


def test_the_rate_holds_and_what_waits_is_done_later() -> None:
    clock = Clock()
    turns = Turns(clock)
    hers = Worker(clock, 10 * int(REQUESTS_AT_ONCE), seconds=0.0, cost=1)
    began = clock.now
    turns.add(ALICE, hers)
    while clock.now < began + 10:
        turns.round()
        due = turns.deadline()
        assert due is not None
        clock.now = max(due, clock.now + 1e-4)
    most = REQUESTS_AT_ONCE + 10 * REQUESTS_A_SECOND
    assert 0.95 * most < len(hers.done) < 1.05 * most


def test_work_that_takes_long_counts_as_many_requests() -> None:
    clock = Clock()
    turns = Turns(clock)
    hers = Worker(clock, 100_000, seconds=0.005, cost=1)
    turns.add(ALICE, hers)
    began = clock.now
    while clock.now < began + 60:
        turns.round()
        clock.now = max(turns.deadline() or 0.0, clock.now)
    # A quarter of the time, and what may come at once.
    assert len(hers.done) * 0.005 < 60 / 4 + 1


def test_root_has_no_rate() -> None:
    clock = Clock()
    turns = Turns(clock)
    roots = Worker(clock, 50_000, seconds=0.0)
    turns.add(0, roots)

    def serve() -> None:
        clock.now += 1e-6

    for _ in range(60_000):
        serve()
        roots.seconds = 1e-6
        if turns.deadline() is None:
            break
        turns.round()
    assert len(roots.done) == 50_000


def test_who_asks_nothing_is_forgotten_and_has_nothing_due() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.add(ALICE, Worker(clock, 3))
    turns.round()
    assert turns.deadline() is None
    clock.now += 60
    turns.tick()
    assert turns._users == {}


def test_a_bucket_in_debt_says_how_long() -> None:
    bucket = Bucket(10, 5, 0.0)
    bucket.charge(25)
    assert bucket.wait(0.0) == pytest.approx(2.0)
    assert not bucket.take(1.0)
    assert bucket.wait(3.0) == 0


def test_held_counts_and_names_the_limit() -> None:
    held = Held(80)
    alice, operator = Caller(1, ALICE, False), Caller(1, ALICE, True)
    held.add(ALICE, 20)
    with pytest.raises(LimitReached, match=r"holds 20 processes.*--max-pids"):
        held.check(alice)
    held.check(operator)
    held.check(Caller(1, BOB, False))
    held.add(ALICE, -1)
    held.check(alice)
