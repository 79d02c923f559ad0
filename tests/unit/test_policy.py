"""Who may hold what: a table of cases."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from netiod import policy, processes
from netiod.policy import Caller
from netiod.processes import Process

ALICE, BOB, OPERATORS = 1000, 1001, 950


def process(*uids: int) -> Process:
    return Process(4711, 1, "x", (uids[0], uids[1], uids[2], uids[3]))


@pytest.mark.parametrize(
    ("uid", "gids", "group", "expected"),
    [
        (0, set(), None, True),
        (0, set(), OPERATORS, True),
        (ALICE, {ALICE, OPERATORS}, OPERATORS, True),
        (ALICE, {ALICE}, OPERATORS, False),
        (ALICE, {ALICE, OPERATORS}, None, False),
        (ALICE, {0}, None, False),
    ],
)
def test_operator(uid: int, gids: set[int], group: int | None, expected: bool) -> None:
    assert policy.is_operator(uid, frozenset(gids), group) is expected


@pytest.mark.parametrize(
    ("caller", "uids", "expected"),
    [
        (Caller(1, 0, True), (ALICE,) * 4, True),
        (Caller(1, BOB, True), (0,) * 4, True),
        (Caller(1, ALICE, False), (ALICE,) * 4, True),
        (Caller(1, ALICE, False), (BOB,) * 4, False),
        (Caller(1, ALICE, False), (0,) * 4, False),
        # A set-uid program that Alice started; one that has dropped to her but may come back.
        (Caller(1, ALICE, False), (ALICE, 0, 0, 0), False),
        (Caller(1, ALICE, False), (ALICE, ALICE, 0, ALICE), False),
        (Caller(1, ALICE, False), (0, ALICE, ALICE, ALICE), False),
        (Caller(1, ALICE, False), (ALICE, ALICE, ALICE, 0), False),
    ],
)
def test_may_hold(caller: Caller, uids: tuple[int, ...], expected: bool) -> None:
    assert policy.may_hold(caller, process(*uids)) is expected


def test_a_process_is_read_with_its_start_and_uids() -> None:
    own = processes.read(os.getpid())
    assert own is not None
    assert own.uids == (os.getuid(), os.geteuid(), os.getuid(), os.geteuid())
    assert own.start > 0


def test_a_comm_with_blanks_and_parentheses_is_read() -> None:
    code = "open('/proc/self/comm','w').write('a) R (b'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        found = processes.read(child.pid)
        child.stdin.close()
    assert found is not None
    assert found.comm == "a) R (b"


def test_neither_a_thread_nor_a_zombie_nor_nobody_is_a_process() -> None:
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read()  # closed when it exits; it stays a zombie until wait()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.read(child.pid) is None
    assert processes.read(4_194_304) is None


def test_usage_of_the_own_process() -> None:
    used = processes.usage(os.getpid())
    assert used is not None
    assert used[0] > 1 << 20
    assert used[1] > 0
