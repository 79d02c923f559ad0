"""PIDs as people give them, and why one cannot be had."""

from __future__ import annotations

import os
import threading

import pytest

from netioctl import targets
from netioctl.answers import Failure
from netioctl.wire.errors import Code, UsageError


@pytest.mark.parametrize(
    ("arguments", "pids"),
    [
        (["1234"], (1234,)),
        (["1", "2", "1"], (1, 2)),
        (["12\n13\n14\n"], (12, 13, 14)),
        (["007"], (7,)),
        (["4194304"], (4194304,)),
    ],
)
def test_pids(arguments: list[str], pids: tuple[int, ...]) -> None:
    assert targets.parse(arguments) == pids


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no PID given"),
        ([""], "no PID given"),
        (["nginx"], "not a PID: nginx"),
        (["0"], "not a PID: 0; PIDs are 1 to 4194304"),
        (["-5"], "not a PID: -5; PIDs are"),
        (["--5"], "no such option: --5"),
        (["--jsn"], "no such option: --jsn"),
        (["4194305"], "PIDs are 1 to"),
        (["9" * 5000], "PIDs are 1 to"),
        (["1.5"], "not a PID"),
        (["1e3"], "not a PID"),
        (["1_000"], "not a PID"),
        (["+5"], "not a PID"),
        (["٤٢"], "not a PID"),
        (["²"], "not a PID"),
        (["1234", "x"], "not a PID: x"),
    ],
)
def test_what_is_no_pid(arguments: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        targets.parse(arguments)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 100


def _explain(pid: int, code: int = Code.NO_SUCH_PROCESS, message: str = "said so") -> str:
    return targets.explain(Failure(pid, code, message))


def test_no_such_process() -> None:
    assert _explain(4194304) == "no such process: 4194304"


def test_another_users_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert _explain(1) == (
        "process 1 belongs to root: only root and members of group netio may watch it"
    )


def test_a_process_of_ones_own_that_is_refused_all_the_same() -> None:
    assert _explain(os.getpid(), message="it exited") == "it exited"


def test_a_thread() -> None:
    found, go = [], threading.Event()

    def body() -> None:
        found.append(threading.get_native_id())
        go.wait(10)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        while not found:
            pass
        leader = os.getpid()
        assert _explain(found[0]) == f"{found[0]} is a thread of process {leader}: watch {leader}"
    finally:
        go.set()
        thread.join()


def test_other_errors_name_the_pid_once() -> None:
    assert _explain(7, Code.NOT_HELD, "process 7 is not attached") == "process 7 is not attached"
    assert _explain(7, Code.FILTER_FULL, "the filter is full") == "7: the filter is full"
