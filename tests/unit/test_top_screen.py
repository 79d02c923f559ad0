"""`netioctl top` on a terminal and for scripts, against a daemon that does what the test says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import screens
from tests.screens import ENTER, Terminal
from tests.unit.fake_daemon import FakeDaemon, running

TOP = Path(__file__).parents[2]
Start = Callable[..., Terminal]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(1234, "curl").row("127.0.0.1:1", "127.0.0.1:2", sent_bytes=0)
        daemon.process(1235, "ev\x1b[2J\x9bil").row("[::1]:1", "[::1]:2", recv_bytes=5)
        yield daemon


def _environment(daemon: FakeDaemon, **more: str) -> dict[str, str]:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP)}
    return {**kept, "NETIO_RUN_DIR": str(daemon.run_dir), "LC_ALL": "C.UTF-8", **more}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "netioctl", "top", *arguments]


@pytest.fixture
def start(daemon: FakeDaemon) -> Iterator[Start]:
    started = []

    def start(
        *arguments: str,
        size: tuple[int, int] = (80, 24),
        environment: dict[str, str] | None = None,
        setup: str = "pass",
    ) -> Terminal:
        every = {**_environment(daemon), **(environment or {})}
        code = f"{setup}; import sys; from netioctl.main import main; sys.exit(main())"
        words = ["top", "--interval", "0.1", *arguments]
        command = [sys.executable, "-W", "error", "-c", code, *words]
        started.append(Terminal(command, every, size))
        return started[-1]

    yield start
    for one in started:
        one.close()


def _run(daemon: FakeDaemon, *arguments: str, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        _command(*arguments),
        env=_environment(daemon, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def _count(daemon: FakeDaemon, pid: int, sent: int) -> None:
    daemon.processes[pid].row("127.0.0.1:1", "127.0.0.1:2", sent_bytes=sent, send_ops=sent)


def test_rows_follow_the_counters(daemon: FakeDaemon, start: Start) -> None:
    screen = start("1234", "1235")
    screen.until("0 B/s")
    _count(daemon, 1234, 3 << 20)
    screen.until("3.0 MB")
    daemon.exit(1235)
    screen.until("(exited)")
    assert "1 process " in screen.text
    assert screen.end("q") == 0
    # The cursor, which was hidden, is seen again.
    assert b"\x1b[?25h" in screen.sent[-40:]


def test_no_name_reaches_the_terminal_raw(start: Start) -> None:
    screen = start("1235")
    screen.until("ev\\x1b[2J\\xc2\\…")
    screen.press("c")
    screen.until("[::1]:1")
    screen.press(ENTER)
    screen.until("of 1235 (ev\\x1b[2J\\xc2\\x9bil)")
    screen.end("q")
    assert b"\x1b[2Jil" not in screen.sent
    assert b"\x9bil" not in screen.sent


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C"}, {"LC_ALL": "", "LANG": "C"}, {"LC_ALL": "", "LANG": ""}],
    ids=str,
)
def test_ascii_where_the_terminal_is_not_said_to_have_more(
    daemon: FakeDaemon, start: Start, environment: dict[str, str]
) -> None:
    daemon.process(1236, "日本")
    screen = start("1234", "1235", "1236", "--tree", environment=environment)
    screen.until("RATEv")
    screen.until("\\u65e5")
    screen.end("q")
    assert screen.sent.isascii()


def test_without_colours(start: Start) -> None:
    for environment in ({"NO_COLOR": "1"}, {"TERM": "vt100"}):
        screen = start("1234", environment=environment)
        screen.until("curl")
        screen.end("q")
        assert not re.search(rb"\x1b\[([0-9;]*;)?3[0-7]m", screen.sent)


def test_a_terminal_may_be_small_and_change(daemon: FakeDaemon, start: Start) -> None:
    for pid in range(2000, 2100):
        daemon.process(pid)
    pids = [str(pid) for pid in range(2000, 2100)]
    screen = start(*pids, size=(30, 4))
    screen.until("2000")
    for size in ((1, 1), (5, 2), (200, 60), (80, 24)):
        before = len(screen.sent)
        screen.resize(*size)
        screen.until(lambda: len(screen.sent) > before)  # noqa: B023 # it is done by then
    screen.until("q quit")
    screen.press(screens.END)
    screen.until("2099 ")
    screen.press(screens.UP, ENTER)
    screen.until("of 2098")
    assert screen.end("q") == 0


def test_when_the_daemon_goes_it_says_so_and_waits_then_ends(
    daemon: FakeDaemon, start: Start
) -> None:
    screen = start("1234", setup="from netioctl import outage; outage.PATIENCE = 1.5")
    screen.until("curl")
    daemon.close()
    screen.until("netiod is away: waiting for the next")
    assert screen.end() == 3
    assert "top ends: netiod ended the connection" in screen.text


def test_an_interruption_is_told_and_counting_goes_on(daemon: FakeDaemon, start: Start) -> None:
    screen = start("1234")
    screen.until("curl")
    daemon.drop()
    screen.until("netiod was away for")
    daemon.miss(12)
    screen.until("up to 12 operations escaped")
    _count(daemon, 1234, 5 << 20)
    screen.until("5.0 MB")
    assert screen.end("q") == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_like_q(start: Start, sign: signal.Signals) -> None:
    screen = start("1234")
    screen.until("curl")
    screen.process.send_signal(sign)
    assert screen.end() == 0


def test_it_ends_with_its_terminal(start: Start) -> None:
    screen = start("1234")
    screen.until("curl")
    screen.hang_up()
    assert screen.process.wait(10) in (0, -signal.SIGHUP)


def test_once(daemon: FakeDaemon) -> None:
    _count(daemon, 1234, 4096)
    status, out, err = _run(daemon, "--once", "--interval", "0.1", "1234", "1235")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["PID", "USER", "COMM", "SENT/s", "RECV/s", "SENT", "RECV", "OPS/s"]
    assert lines[1][0] == "1234"
    assert lines[1][-5:] == ["4.0", "KB", "0", "B", "0"]
    assert "ev\\x1b[2J" in lines[2][2]
    status, out, _ = _run(daemon, "--once", "-c", "--interval", "0.1", "1234", "--filter", ":2")
    assert "127.0.0.1:1 -> 127.0.0.1:2" in out


def test_json(daemon: FakeDaemon) -> None:
    status, out, err = _run(daemon, "--json", "--count", "2", "--interval", "0.1", "1234", "1235")
    assert (status, err) == (0, "")
    values = [json.loads(line) for line in out.splitlines()]
    assert [(v["type"], v["pid"]) for v in values] == [("process", 1235), ("process", 1234)] * 2
    assert values[0]["total"]["recv_bytes"] == 5
    assert values[0]["rate"] == {
        "sent_bytes": 0.0, "recv_bytes": 0.0, "send_ops": 0.0, "recv_ops": 0.0
    }  # fmt: skip


def test_json_ends_with_the_last_process_and_tells_what_is_missing(daemon: FakeDaemon) -> None:
    process = subprocess.Popen(
        _command("--json", "--connections", "--interval", "0.1", "1235"),
        env=_environment(daemon),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    values = [json.loads(process.stdout.readline())]
    daemon.miss(3)
    daemon.exit(1235)
    values += map(json.loads, process.communicate(timeout=10)[0].splitlines())
    assert process.returncode == 0
    assert values[0]["type"] == "connection"
    assert values[0]["local"] == "[::1]:1"
    assert {"type": "missed", "operations": 3} in values
    assert {"type": "exit", "pid": 1235} in values


def test_a_reader_that_goes_ends_it(daemon: FakeDaemon) -> None:
    process = subprocess.Popen(
        _command("--json", "--interval", "0.1", "1234"),
        env=_environment(daemon),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) == 141


def test_without_pids_what_is_held_already(daemon: FakeDaemon) -> None:
    daemon.processes[1235].exited = 1.0
    status, out, _ = _run(daemon, "--once", "--interval", "0.1")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["1234"]
    daemon.processes.clear()
    status, out, err = _run(daemon, "--once")
    assert (status, out) == (1, "")
    assert "nothing that you may see is watched or added: netioctl top PID" in err


def test_no_terminal_is_one_line(daemon: FakeDaemon) -> None:
    status, out, err = _run(daemon, "1234")
    assert (status, out) == (2, "")
    assert err == ("netioctl: top needs a terminal: --once or --json print to a pipe or file\n")


def test_a_terminal_that_cannot_do_it_is_one_line(start: Start) -> None:
    for name in ("dumb", "", "no-such-terminal"):
        screen = start("1234", environment={"TERM": name})
        screen.until("cannot be drawn on this terminal")
        assert screen.end() == 2
        assert "--once" in screen.text


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["999"], 1, "no such process: 999"),
        (["1234", "--sort", "colour"], 2, "colour"),
        (["1234", "--interval", "0"], 2, "--interval"),
        (["1234", "--count", "2"], 2, "--once is --count 1"),
        (["abc"], 2, "not a PID: abc"),
    ],
)
def test_bad_input(daemon: FakeDaemon, arguments: list[str], status: int, text: str) -> None:
    found, out, err = _run(daemon, "--once", "--interval", "0.1", *arguments)
    assert (found, out) == (status, "")
    assert text in err
    assert len(err.splitlines()) == 1


def test_of_several_pids_one_that_fails_is_told_in_the_status(daemon: FakeDaemon) -> None:
    status, out, err = _run(daemon, "--once", "--interval", "0.1", "1234", "4999")
    assert status == 1
    assert "no such process: 4999" in err
    assert "curl" in out


def test_a_daemon_that_does_not_answer_ends_a_script(daemon: FakeDaemon) -> None:
    daemon.answers["list"] = b""
    code = (
        "import sys; from netioctl import client, outage; client.TIMEOUT = 0.2; "
        "outage.PATIENCE = 0.5; from netioctl.main import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "top", "--once", "--interval", "0.1", "1234"],
        env=_environment(daemon),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (3, "")
    first, last = done.stderr.splitlines()
    assert first.startswith("netioctl: netiod has not answered for 0.2 s")
    assert last.startswith("netioctl: top ends: netiod has not answered for 0.2 s")
