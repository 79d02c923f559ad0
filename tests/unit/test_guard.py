"""A process that is held becomes another user's: a table of what /proc may say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from netiod import guard, processes
from netiod.guard import Guard
from netiod.holding import Holding
from netiod.policy import Caller

ALICE, BOB = 1000, 1001
HERS = (ALICE,) * 4


class Proc:
    """What /proc says of the process; None: it is not there."""

    def __init__(self) -> None:
        self.uids: Any = HERS
        self.owner: int | None = ALICE
        self.start: int | None = 7
        self.looks = 0


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Proc:
    said = Proc()

    def uids(_pid: int) -> Any:
        said.looks += 1
        return said.uids

    monkeypatch.setattr(processes, "uids", uids)
    monkeypatch.setattr(processes, "owner", lambda _pid: said.owner)
    monkeypatch.setattr(processes, "start", lambda _pid: said.start)
    return said


@pytest.fixture
def hers() -> Holding:
    return Holding(4711, 7, "x", ALICE, 0.0, HERS)


@pytest.fixture
def revoked() -> list[Holding]:
    return []


@pytest.mark.parametrize(
    ("uids", "start", "same"),
    [
        (HERS, 7, True),
        ((BOB,) * 4, 7, False),
        ((0,) * 4, 7, False),
        ((BOB, ALICE, ALICE, ALICE), 7, False),
        ((ALICE, 0, 0, 0), 7, False),
        ((ALICE, ALICE, 0, ALICE), 7, False),
        ((ALICE, ALICE, ALICE, BOB), 7, False),
        # It is gone; its number is another's; it is going just now.
        (None, None, True),
        ((BOB,) * 4, 8, True),
        (HERS, 8, True),
    ],
)
def test_verify(
    proc: Proc, hers: Holding, revoked: list[Holding], uids: Any, start: Any, same: bool
) -> None:
    proc.uids, proc.start = uids, start
    watcher = Guard(revoked.append)
    assert watcher.verify(hers) is same
    assert revoked == ([] if same else [hers])
    # Once is enough, and for good: also if it comes back.
    proc.uids = HERS
    assert watcher.verify(hers) is same
    assert len(revoked) == (not same)


@pytest.mark.parametrize(
    ("owner", "uids", "same", "looks"),
    [
        (ALICE, HERS, True, 0),
        (None, None, True, 0),
        (BOB, (BOB,) * 4, False, 1),
        (0, (ALICE, 0, 0, 0), False, 1),
        # Not dumpable, but all hers: /proc belongs to root then.
        (0, HERS, True, 1),
    ],
)
def test_the_cheap_look(
    proc: Proc, hers: Holding, revoked: list[Holding], owner: Any, uids: Any, same: bool, looks: int
) -> None:
    proc.owner, proc.uids = owner, uids
    assert Guard(revoked.append).unchanged(hers) is same
    assert (len(revoked), proc.looks) == (not same, looks)


def test_a_new_name_is_looked_at_twice(proc: Proc, hers: Holding, revoked: list[Holding]) -> None:
    watcher = Guard(revoked.append)
    assert watcher.deadline() is None
    watcher.renamed(hers)
    due = watcher.deadline()
    assert due is not None
    assert 0 < due - time.monotonic() <= 0.02
    # execve(2) gives the name first, then the uids.
    proc.uids = (ALICE, 0, 0, 0)
    watcher.look(due - 0.001)
    assert revoked == []
    watcher.look(due)
    assert revoked == [hers]
    assert watcher.deadline() is None


@pytest.mark.parametrize(
    ("uids", "caller", "allowed"),
    [
        (HERS, Caller(1, ALICE, False), True),
        (HERS, Caller(1, BOB, False), False),
        (HERS, Caller(1, BOB, True), True),
        (HERS, Caller(1, 0, True), True),
        # Changed, or not known after a restart.
        (None, Caller(1, ALICE, False), False),
        (None, Caller(1, 0, True), True),
        ((ALICE, 0, 0, 0), Caller(1, ALICE, False), False),
    ],
)
def test_allowed(hers: Holding, uids: Any, caller: Caller, allowed: bool) -> None:
    hers.uids = uids
    assert guard.allowed(hers, caller) is allowed


@pytest.mark.parametrize(
    ("adder", "viewer", "guarded"),
    [
        (None, None, False),
        (Caller(1, ALICE, False), None, True),
        (Caller(1, BOB, True), None, False),
        (None, Caller(1, ALICE, False), True),
        (Caller(1, 0, True), Caller(1, 0, True), False),
    ],
)
def test_who_holds_as_an_owner_is_guarded(
    hers: Holding, adder: Any, viewer: Any, guarded: bool
) -> None:
    hers.adder = adder
    if viewer is not None:

        class Viewer:
            caller = viewer

        hers.leases[Viewer()] = False
    assert hers.guarded is guarded
