"""Totals of processes that are gone: how long they stay."""

from __future__ import annotations

import time

import pytest

from netiod import exited
from netiod.holding import Holding


def gone(pid: int, ago: float = 0.0) -> Holding:
    one = Holding(pid, 1, "curl", 1000, time.time() - 100)
    one.exited = time.time() - ago
    return one


class Clocks:
    """The time of day and the monotonic clock, each as far off as it says."""

    wall = steady = 0.0
    _time, _monotonic = staticmethod(time.time), staticmethod(time.monotonic)

    @classmethod
    def time(cls) -> float:
        return cls._time() + cls.wall

    @classmethod
    def monotonic(cls) -> float:
        return cls._monotonic() + cls.steady


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> type[Clocks]:
    class Fresh(Clocks):
        pass

    monkeypatch.setattr(exited, "time", Fresh)
    return Fresh


def test_they_go_after_a_while(clocks: type[Clocks]) -> None:
    kept = exited.Exited(10, 20)
    # The first was taken over from a broker before.
    first, second = gone(5, ago=exited.KEEP_EXITED - 10), gone(6)
    assert kept.add(first) == kept.add(second) == []
    assert list(kept.expire()) == []
    clocks.steady = 11
    assert list(kept.expire()) == [first]
    clocks.steady = exited.KEEP_EXITED + 1
    assert list(kept.expire()) == [second]
    assert kept.values() == []


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_that_is_set_changes_nothing(clocks: type[Clocks], step: float) -> None:
    kept = exited.Exited(10, 20)
    one = gone(5)
    kept.add(one)
    clocks.wall = step
    assert list(kept.expire()) == []
    clocks.steady = exited.KEEP_EXITED + 1
    assert list(kept.expire()) == [one]


def test_a_pid_that_is_used_again(clocks: type[Clocks]) -> None:
    kept = exited.Exited(10, 20)
    first, second = gone(5), gone(5)
    kept.add(first)
    assert kept.add(second) == [first]
    clocks.steady = exited.KEEP_EXITED + 1
    assert list(kept.expire()) == [second]


def test_no_user_keeps_more_than_so_many() -> None:
    kept = exited.Exited(2, 4)
    own = [gone(pid) for pid in (5, 6, 7)]
    assert [kept.add(each) for each in own] == [[], [], [own[0]]]
    assert kept.values() == own[1:]


def test_one_without_a_name_waits_for_it_a_while(clocks: type[Clocks]) -> None:
    kept = exited.Exited(10, 20)
    first, second = gone(5), gone(6)
    kept.await_name(first)
    kept.await_name(second)
    kept.named(first.pid, first.start)
    assert list(kept.settle()) == []
    assert kept.values() == []
    clocks.steady = exited.SETTLE + 0.1
    assert list(kept.settle()) == []
    # Nobody has told the name of the second: it is kept as it is. The first is held by another way.
    assert kept.values() == [second]
    clocks.steady += exited.KEEP_EXITED
    assert list(kept.expire()) == [second]


def test_another_of_that_number_goes_for_one_without_a_name(clocks: type[Clocks]) -> None:
    kept = exited.Exited(10, 20)
    before, after = gone(5), gone(5)
    kept.add(before)
    kept.await_name(after)
    clocks.steady = exited.SETTLE + 0.1
    assert list(kept.settle()) == [before]
    assert kept.values() == [after]
