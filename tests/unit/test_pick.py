"""`netioctl pick`: who is offered, in which order, what keys do, and what a terminal gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netioctl.picking import candidates, view
from netioctl.picking.candidates import Candidate, most_active_first
from netioctl.picking.choice import Choice
from netioctl.render.glyphs import Glyphs, columns
from tests.screens import DOWN, ENTER, ESCAPE, Terminal
from tests.unit.fake_daemon import FakeDaemon, running

TOP = Path(__file__).parents[2]
#: Opens so many sockets, takes a name, and waits for its input to end.
IDLE = """
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
open("/proc/self/comm", "w").write(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def idle() -> Iterator[list[subprocess.Popen[str]]]:
    """A process with three sockets, one with one, and one without any."""
    started = []
    for sockets, name in (("3", "three"), ("1", "ev\x1b[2Jil"), ("0", "none")):
        process = subprocess.Popen(
            [sys.executable, "-c", IDLE, sockets, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield started
    for process in started:
        process.communicate()


@pytest.fixture
def daemon(idle: list[subprocess.Popen[str]]) -> Iterator[FakeDaemon]:
    with running() as daemon:
        for process in idle:
            daemon.process(process.pid, "idle")
        yield daemon


def _pick(daemon: FakeDaemon, *arguments: str, piped: bool = True) -> Terminal:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(TOP),
        "NETIO_RUN_DIR": str(daemon.run_dir),
        "LC_ALL": "C.UTF-8",
    }
    command = [sys.executable, "-W", "error", "-m", "netioctl", *(arguments or ("pick",))]
    return Terminal(command, environment, piped=piped)


def test_who_has_sockets_is_found(idle: list[subprocess.Popen[str]]) -> None:
    found = {each.pid: each for each in candidates.find()}
    three, evil, none = (process.pid for process in idle)
    assert (found[three].sockets, found[three].comm) == (3, "three")
    assert found[three].uid == os.geteuid()
    assert found[three].command.startswith(f"{os.path.basename(sys.executable)} -c")
    assert found[evil].comm == "ev\x1b[2Jil"
    assert none not in found
    with socket.socket():
        assert os.getpid() not in found


def _candidates() -> list[Candidate]:
    return [
        Candidate(10, 0, "few", "few -x", 1),
        Candidate(11, 0, "many", "many -y", 9),
        Candidate(12, 0, "busy", "busy\x1b]0;t\x07", 2),
        Candidate(13, 0, "busier", "日本", 2),
    ]


def test_most_active_first_then_by_sockets() -> None:
    ordered = most_active_first(_candidates(), {12: 5, 13: 50, 10: 0})
    assert [(each.pid, each.moved) for each in ordered] == [(13, 50), (12, 5), (11, None), (10, 0)]


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (["enter"], (10,)),
        (["down", "down", "enter"], (12,)),
        (["end", "up", "enter"], (12,)),
        ([" ", "down", " ", "home", "enter"], (10, 12)),
        ([" ", "up", " ", "enter"], (11,)),
        ([*"BUS", "enter"], (12,)),
        ([*"bus", "down", " ", *"zzz", "enter"], (13,)),
        ([*"zzz", "enter"], None),
        ([*"zzz", "clear", "enter"], (10,)),
        ([*"13", "enter"], (13,)),
        ([*"ma", "escape", "enter"], (10,)),
        (["escape"], ()),
    ],
    ids=str,
)
def test_keys(keys: list[str], chosen: tuple[int, ...] | None) -> None:
    choice = Choice(_candidates())
    for key in keys:
        choice.press(key, 10)
    assert choice.chosen == chosen


@pytest.mark.parametrize("utf8", [True, False])
def test_every_size_is_filled_and_none_exceeded(utf8: bool) -> None:
    choice = Choice(_candidates() * 20)
    choice.press("end", 5)
    for width in (1, 10, 80, 200):
        for height in (1, 2, 5, 6, 24):
            lines = view.draw(choice, 0.5, str, (width, height), Glyphs(utf8=utf8))
            texts = ["".join(text for text, _ in line) for line in lines]
            assert len(texts) <= height
            assert max(map(columns, texts)) <= width
            assert "".join(texts).isprintable()
            assert utf8 or "".join(texts).isascii()
            assert height < 2 or any(style == "chosen" for line in lines for _, style in line)


def test_pids_go_to_stdout_and_the_list_to_the_terminal(
    daemon: FakeDaemon, idle: list[subprocess.Popen[str]]
) -> None:
    screen = _pick(daemon)
    try:
        screen.until("most active in 0.5 s first")
        three, evil, _ = (process.pid for process in idle)
        screen.press(*str(evil))
        screen.until("ev\\x1b[2Jil")
        screen.press(" ", "\x15", *str(three), " ", ENTER)
        assert screen.process.stdout is not None
        chosen = screen.process.stdout.read().split()
        assert screen.end() == 0
    finally:
        screen.close()
    assert sorted(map(int, chosen)) == sorted((three, evil))
    assert b"\x1b[2Jil" not in screen.sent
    # They were attached for a moment, without anybody's events.
    (asked,) = (params for method, params in daemon.requests if method == "watch")
    assert asked["stream"] is False
    assert {three, evil} <= set(asked["pids"])


@pytest.mark.parametrize("key", [ESCAPE, "\x03"], ids=["escape", "ctrl-c"])
def test_nothing_chosen(daemon: FakeDaemon, key: str) -> None:
    for arguments in (("pick",), ("watch",)):
        screen = _pick(daemon, *arguments, piped=False)
        try:
            screen.until("most active")
            screen.press(DOWN)
            assert screen.end(key) == 130
        finally:
            screen.close()


def test_watch_without_pids_watches_what_is_chosen(
    daemon: FakeDaemon, idle: list[subprocess.Popen[str]]
) -> None:
    screen = _pick(daemon, "watch", "--summary-only", "--duration", "0.1", piped=False)
    try:
        screen.until("most active")
        screen.press(*str(idle[0].pid))
        screen.until("1 with sockets")
        assert screen.end(ENTER) == 0
    finally:
        screen.close()
    assert f"watching {idle[0].pid} (idle)" in screen.text


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ("pick", "there is no terminal to choose at: name PIDs, $(pgrep NAME) finds them"),
        ("watch", "no PID given"),
    ],
)
def test_without_a_terminal_it_is_one_line(daemon: FakeDaemon, verb: str, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netioctl", "--run-dir", str(daemon.run_dir), verb],
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
