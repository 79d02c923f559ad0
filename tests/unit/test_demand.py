"""Hooks that every process pays for: attached when needed, and nobody is answered before."""

from __future__ import annotations

import os
from typing import Any

import pytest

from netiod import attach
from netiod.demand import Attacher, Demand
from netiod.handover import Loaded

HOOK = {"name": "sys_enter", "id": None}


def _null() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_nothing_is_asked_or_awaited_without_such_hooks() -> None:
    asked: list[bool] = []
    demand = Demand([], asked.append)
    demand.need(True)
    assert not demand.when_met(lambda: pytest.fail("called"))
    assert asked == []


def test_an_answer_waits_until_the_hooks_are_attached() -> None:
    asked: list[bool] = []
    answers: list[str] = []
    demand = Demand([HOOK], asked.append)
    demand.need(True)
    demand.need(True)
    assert asked == [True]
    assert demand.when_met(lambda: answers.append("one"))
    assert demand.when_met(lambda: answers.append("two"))
    assert answers == []
    demand.answered(True)
    assert answers == ["one", "two"]
    assert not demand.when_met(lambda: pytest.fail("called"))


def test_what_holds_nothing_waits_for_nothing() -> None:
    demand = Demand([HOOK], lambda _: None)
    demand.need(False)
    assert not demand.when_met(lambda: pytest.fail("called"))


def test_an_answer_comes_even_where_hooks_cannot_be_attached() -> None:
    answers: list[str] = []
    demand = Demand([HOOK], lambda _: None)
    demand.need(True)
    assert demand.when_met(lambda: answers.append("one"))
    demand.answered(False)
    assert answers == ["one"]


def test_after_a_pause_they_are_asked_for_and_awaited_anew() -> None:
    asked: list[bool] = []
    answers: list[str] = []
    demand = Demand([HOOK], asked.append)
    for wanted in (True, False, True):
        demand.need(wanted)
        if wanted:
            assert demand.when_met(lambda: answers.append("late"))
        demand.answered(wanted)
    assert asked == [True, False, True]
    assert answers == ["late", "late"]


def test_the_answer_to_an_old_wish_attaches_nothing() -> None:
    demand = Demand([HOOK], lambda _: None)
    demand.need(True)
    demand.need(False)
    demand.answered(True)
    demand.need(True)
    assert demand.when_met(lambda: None)


def test_a_late_answer_to_an_old_wish_is_not_taken_for_the_new_ones() -> None:
    answers: list[str] = []
    demand = Demand([HOOK], lambda _: None)
    demand.need(False)
    demand.need(True)
    assert demand.when_met(lambda: answers.append("one"))
    demand.answered(False)  # to the first
    assert answers == []
    demand.answered(True)
    assert answers == ["one"]


@pytest.fixture
def loaded() -> Loaded:
    info = {"on_demand": [HOOK]}
    return Loaded(info, {"link:sys_enter": _null(), "prog:sys_enter": _null(), "link:x": _null()})


def test_links_are_closed_and_made_again(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def reattach(hook: dict[str, Any], program: int) -> int:
        made.append((hook, program))
        return _null()

    monkeypatch.setattr(attach, "reattach", reattach)
    told: list[tuple[str, ...]] = []
    attacher = Attacher(
        loaded, lambda name, _: told.append(("store", name)), lambda n: told.append(("forget", n))
    )
    link = loaded.fds["link:sys_enter"]
    assert attacher.set(True)
    assert made == []  # the loader left it attached
    assert not attacher.set(False)
    assert not attacher.set(False)
    assert not _is_open(link)
    assert _is_open(loaded.fds["link:x"])
    assert attacher.set(True)
    assert made == [(HOOK, loaded.fds["prog:sys_enter"])]
    assert _is_open(loaded.fds["link:sys_enter"])
    assert told == [("forget", "link:sys_enter"), ("store", "link:sys_enter")]
    loaded.close()


def test_a_hook_that_is_refused_is_logged(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reattach(_hook: dict[str, Any], _program: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(attach, "reattach", reattach)
    attacher = Attacher(loaded, lambda _name, _fd: None, lambda _name: None)
    attacher.set(False)
    assert not attacher.set(True)
    assert "hook sys_enter cannot be attached again" in caplog.text
    loaded.close()


def test_who_waits_is_answered_although_nothing_is_held_any_more() -> None:
    # The only process exits while its hooks are being attached.
    answers: list[str] = []
    demand = Demand([HOOK], lambda _: None)
    demand.need(True)
    assert demand.when_met(lambda: answers.append("one"))
    demand.need(False)
    assert answers == ["one"]
    demand.answered(True)
    demand.answered(False)
    assert answers == ["one"]


def test_an_answer_may_bring_about_that_hooks_are_needed_again() -> None:
    asked: list[bool] = []
    answers: list[str] = []
    demand = Demand([HOOK], asked.append)

    def again() -> None:
        answers.append("one")
        demand.need(True)

    demand.need(True)
    assert demand.when_met(again)
    demand.need(False)
    assert asked == [True, False, True]
    assert answers == ["one"]
