"""The other verbs, and the command line as a whole."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netioctl import __version__
from netioctl.commands import COMMANDS
from netioctl.main import main
from tests.unit.fake_daemon import FakeDaemon, running

TOP = Path(__file__).parents[2]
PID = 1234
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(PID).row("127.0.0.1:1", "127.0.0.1:2", sent_bytes=15360, send_ops=3)
        daemon.process(1235, "ng\x1b[31minx")
        yield daemon


@pytest.fixture
def run(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    monkeypatch.setenv("NETIO_RUN_DIR", str(daemon.run_dir))

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_list(run: Run, daemon: FakeDaemon) -> None:
    daemon.processes[PID].added_by = os.getuid()
    status, out, err = run("list")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    name = pwd.getpwuid(os.getuid()).pw_name[:9]
    assert lines[0] == ["PID", "COMM", "USER", "SINCE", "BY", "VIEWERS", "SENT", "RECV"]
    assert lines[1][:3] == [str(PID), "curl", name]
    assert lines[1][-6:] == [name, "0", "15.0", "KB", "0", "B"]
    assert lines[2][1] == "ng\\x1b[31minx"


def test_list_as_json(run: Run) -> None:
    status, out, _ = run("list", "--json")
    assert status == 0
    values = [json.loads(line) for line in out.splitlines()]
    assert [value["pid"] for value in values] == [PID, 1235]
    assert values[0]["type"] == "process"
    assert values[0]["total"]["sent_bytes"] == 15360
    assert "\x1b" not in out


def test_an_empty_list(run: Run, daemon: FakeDaemon) -> None:
    daemon.processes.clear()
    status, out, err = run("list")
    assert status == 0
    assert out.startswith("PID")
    assert "no process is watched or added" in err
    assert run("list", "--json") == (0, "", "")


def test_add(run: Run) -> None:
    assert run("add", "1234") == (0, "", "added 1234 (curl)\n")


def test_adding_twice_is_a_notice(run: Run, daemon: FakeDaemon) -> None:
    process = {**daemon.processes[PID].object(), "notice": "process 1234 was already added"}
    daemon.answers["add"] = {"result": {"processes": [process], "errors": []}}
    assert run("add", "1234") == (0, "", "process 1234 was already added\n")


def test_adding_one_of_two(run: Run) -> None:
    status, out, err = run("add", "4194304", "1235")
    assert (status, out) == (1, "")
    assert err == "added 1235 (ng\\x1b[31minx)\nnetioctl: no such process: 4194304\n"


def test_removing_what_was_not_added(run: Run, daemon: FakeDaemon) -> None:
    error = {"pid": PID, "code": -32002, "message": "process 1234 (curl) was not added"}
    daemon.answers["remove"] = {"result": {"processes": [], "errors": [error]}}
    assert run("remove", "1234") == (1, "", "netioctl: process 1234 (curl) was not added\n")


def test_remove(run: Run) -> None:
    assert run("remove", "1234") == (0, "", "removed 1234 (curl)\n")


def test_a_full_filter(run: Run, daemon: FakeDaemon) -> None:
    error = {"pid": PID, "code": -32003, "message": "the filter is full: it holds 1,024"}
    daemon.answers["add"] = {"result": {"processes": [], "errors": [error]}}
    status, _, err = run("add", "1234")
    assert (status, err) == (1, "netioctl: 1234: the filter is full: it holds 1,024\n")


def test_summary(run: Run) -> None:
    status, out, err = run("summary", "1234")
    assert (status, err) == (0, "")
    assert out.startswith("=" * 80 + "\nSUMMARY STATISTICS\n")
    assert "Total Bytes Sent:     15,360 bytes (15.00 KB)\n" in out
    assert "[PID" not in out


def test_summary_as_json(run: Run, daemon: FakeDaemon) -> None:
    daemon.complete = False
    status, out, _ = run("summary", "--json", "1234", "1235")
    assert status == 0
    value = json.loads(out)
    assert list(value) == ["type", "total", "connections", "complete", "missed", "since", "until"]
    assert value["complete"] is False
    assert value["connections"][0]["pid"] == PID


def test_summary_says_what_escaped_since_the_daemon_started(run: Run, daemon: FakeDaemon) -> None:
    daemon.missed = 5
    status, out, _ = run("summary", "1234")
    assert status == 0
    assert "up to 5 operations escaped (of all processes,\n" in out
    assert "  since netiod started)\n" in out


def test_summary_of_what_is_not_attached(run: Run, daemon: FakeDaemon) -> None:
    daemon.processes.clear()
    status, out, err = run("summary", "4194304")
    assert (status, out, err) == (1, "", "netioctl: no such process: 4194304\n")


def test_status(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["status"] = {"result": {"version": "0.1.0", "pid": 5, "operator": True}}
    status, out, _ = run("status")
    assert status == 0
    assert "PID 5" in out
    status, out, _ = run("status", "--json")
    assert json.loads(out) == {"type": "status", "version": "0.1.0", "pid": 5, "operator": True}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["watch"], "no PID given"),
        (["watch", ""], "no PID given"),
        (["add"], "no PID given"),
        (["summary", "x"], "not a PID: x"),
        (["watch", "0"], "not a PID: 0"),
        (["watch", "-5"], "not a PID: -5"),
        (["remove", "-5"], "not a PID: -5"),
        (["watch", "99999999999999999999999"], "not a PID"),
        (["watch", "1234", "x"], "not a PID: x"),
        (["watch", "--jsn", "1"], "no such option: --jsn"),
        (["list", "--jsn"], "No such option: --jsn"),
        (["list", "1"], "unexpected extra argument"),
        (["nonsense"], "No such command"),
        (["1234"], "netioctl watch 1234"),
        (["watch", "1", "--duration", "0"], "more than 0"),
        (["watch", "1", "--duration", "-1"], "not a duration"),
        (["watch", "1", "--duration", "nan"], "not a duration"),
        (["watch", "1", "--duration", "1y"], "not a duration"),
        (["watch", "1", "--count", "0"], "--count"),
        (["watch", "1", "--count", "x"], "--count"),
        (["watch", "1", "--summary-only", "--no-summary"], "nothing to print"),
        (["list", "--run-dir", ""], "--run-dir"),
        (["watch", "\x1b[31m"], "\\x1b[31m"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: list[str], text: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert text in err
    assert len(err.splitlines()) == 1
    assert err.startswith("netioctl: ")


@pytest.mark.parametrize("place", ["before", "behind", "environment"])
def test_the_run_directory(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    directory = str(daemon.run_dir)
    monkeypatch.setenv("NETIO_RUN_DIR", directory if place == "environment" else "/nowhere")
    option = ["--run-dir", directory]
    before, behind = option if place == "before" else [], option if place == "behind" else []
    assert main([*before, "list", "--json", *behind]) == 0


def test_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("NETIO_RUN_DIR", str(tmp_path))
    for verb in (["list"], ["status"], ["watch", "1"], ["add", "1"], ["summary", "1"]):
        assert main(verb) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert 1 <= len(said.err.splitlines()) <= 2
        assert "cannot reach netiod" in said.err


def test_another_protocol_version(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = {"error": {"code": -32004, "message": "install the same version"}}
    assert run("list") == (1, "", "netioctl: install the same version\n")


def test_garbage_instead_of_netiod(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = b"220 mail.example.org ESMTP\r\n"
    status, _, err = run("list")
    assert status == 1
    assert "is not netiod" in err


def test_help(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert out.index("Examples:") < out.index("Options:")
    assert "Exit status: 0 done" in out
    for verb in COMMANDS:
        status, out, _ = run(verb, "-h")
        assert status == 0
        what, examples, rest = re.split(r"\n  Examples:\n|\n\nOptions:\n", out)
        # Two or three lines say what it does; whatever else there is to say comes last.
        assert len(what.splitlines()) <= 6, what
        assert all(line.startswith("    ") for line in examples.splitlines()), examples
        assert rest.count("-h, --help") == 1
        assert all(len(line) <= 80 for line in out.splitlines())


def test_no_verb_is_wrong_usage_and_shows_the_help(run: Run) -> None:
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "Examples:" in err


def test_versions_of_both_sides(run: Run) -> None:
    assert run("--version") == (0, f"netioctl {__version__}\nnetiod {__version__}\n", "")


def test_version_without_a_daemon_is_no_failure(run: Run, tmp_path: Path) -> None:
    status, out, err = run("--version", "--run-dir", str(tmp_path))
    assert (status, out) == (0, f"netioctl {__version__}\n")
    assert err == f"netiod: cannot reach netiod: {tmp_path}/control.sock does not exist\n"


def test_as_a_program(daemon: FakeDaemon) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "netioctl", "list", "--json"],
        cwd=TOP,
        env={**os.environ, "NETIO_RUN_DIR": str(daemon.run_dir)},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""
