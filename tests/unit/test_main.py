from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from netioctl import __version__
from netioctl.wire.errors import (
    AlreadyRunning,
    ConfigError,
    LayoutError,
    NetioError,
    PrerequisiteError,
    UsageError,
)
from netiod import logs, main, prerequisites, seccomp
from netiod.systemd import Notifier

TOP = Path(__file__).parents[2]


@pytest.fixture
def _logging() -> Iterator[None]:
    """main() sets up logging for a process of its own; this one goes on."""
    logger = logging.getLogger("netiod")
    before = logger.handlers[:], logger.propagate, logger.level, logging.raiseExceptions
    yield
    logger.handlers[:], logger.propagate, level, logging.raiseExceptions = before
    logger.setLevel(level)


def netiod(*options: str, uid: int = 0) -> subprocess.CompletedProcess[str]:
    user = [f"--reuid={uid}", "--clear-groups"] if uid else []
    command = ["setpriv", *user, sys.executable, "-W", "error", "-m", "netiod", *options]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=30, check=False)


def test_version() -> None:
    assert netiod("--version").stdout == f"netiod {__version__}\n"


def test_help_fits_a_terminal_and_names_every_setting() -> None:
    text = netiod("--help").stdout
    assert all(len(line) <= 80 for line in text.splitlines())
    for name in ("run-dir", "group", "user", "backend", "ring-size", "max-pids", "config"):
        assert f"--{name}" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frob"], "unrecognized arguments: --frob; netiod --help lists the options"),
        (["--ring-size"], "argument --ring-size: expected one argument; netiod --help lists"),
        (["--ring-size", "5000"], "--ring-size: 5000 is not a power of two from 4096"),
        (["--backend", "magic"], "--backend: 'magic' is not a back-end; there are auto"),
        (["--config", "/absent"], "/absent: No such file or directory"),
        (["--user", "no-such-user", "--run-dir", "/absent/run"], "no user no-such-user"),
        (["--run-dir", "/tmp"], "others than root may write to the run directory /tmp: "),
        (["--run-dir", "/" + "x" * 100], "the path of the run directory has 101 bytes"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_bad_input_is_one_line(options: list[str], said: str) -> None:
    answer = netiod(*options)
    assert answer.returncode == main.ExitStatus.USAGE
    assert answer.stdout == ""
    assert answer.stderr.startswith("netiod: ")
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_hears_of_root_alone() -> None:
    answer = netiod("--config", "/root/out-of-reach.toml", uid=54321)
    assert answer.returncode == main.ExitStatus.PREREQUISITE
    assert answer.stderr == "netiod: must run as root, which alone may load BPF: sudo netiod\n"


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError, 2),
        (ConfigError, 2),
        (PrerequisiteError, 3),
        (AlreadyRunning, 4),
        (LayoutError, 1),
        (NetioError, 1),
        (ZeroDivisionError, 1),
        (KeyboardInterrupt, 130),
    ],
)
def test_every_error_has_its_status_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[BaseException],
    status: int,
) -> None:
    def fail(_argv: object) -> None:
        raise error("first line")

    monkeypatch.setattr(main, "_run", fail)
    assert main.main([]) == status
    text = capsys.readouterr().err
    assert text.count("\n") == (error is not KeyboardInterrupt)
    assert "Traceback" not in text


def test_everything_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(prerequisites, "BTF", "/absent")
    monkeypatch.setattr("netiod.privileges.capabilities", lambda: frozenset((1, 39)))
    monkeypatch.setattr(seccomp, "prepare", lambda: ctypes.CDLL("libabsent.so.0"))
    with pytest.raises(PrerequisiteError) as caught:
        prerequisites.check()
    lines = str(caught.value).splitlines()
    expected = (
        *("CAP_PERFMON", "python3-bpfcc", "python3-numpy", "python3-zmq", "libseccomp2"),
        "DEBUG_INFO_BTF",
    )
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected):
        assert part in line


def test_nothing_is_missing_where_the_tests_run() -> None:
    assert prerequisites.bcc() is None
    assert prerequisites.module("zmq", "", "") is None


def test_the_other_bcc_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("bcc", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    assert f"bcc at {tmp_path} is another project's" in str(prerequisites.bcc())
    (tmp_path / "libbcc.py").touch()
    assert prerequisites.bcc() is None


def record(level: int, text: str, name: str = "netiod.test") -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, (), None)


def test_log_lines() -> None:
    plain, journal = logs.LineFormatter(), logs.LineFormatter(priorities=True)
    assert plain.format(record(logging.INFO, "netiod 1 ready")) == "netiod 1 ready"
    assert plain.format(record(logging.WARNING, "odd")) == "netiod: warning: odd"
    assert plain.format(record(logging.ERROR, "bad")) == "netiod: bad"
    assert journal.format(record(logging.ERROR, "bad")) == "<3>netiod: bad"
    assert journal.format(record(logging.DEBUG, "detail")) == "<7>detail"


def test_nobody_forges_a_log_line() -> None:
    text = logs.LineFormatter().format(record(logging.INFO, "comm a\nnetiod: b\x1b[2J\udcff"))
    assert text == r"comm a\nnetiod: b\x1b[2J\udcff"


def test_audit_lines_carry_their_time() -> None:
    text = logs.LineFormatter().format(record(logging.INFO, "attach pid=1", logs.AUDIT))
    when, rest = text.split(" ", 1)
    assert rest == "attach pid=1"
    assert len(when) == len("2025-01-01T00:00:00+0000")


def test_the_notifier_takes_its_variables() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1", "A": "b"}
    # The watchdog is another process's.
    assert Notifier(environ).interval is None
    assert environ == {"A": "b"}
    Notifier(environ).ready("to nobody")
    environ = {"NOTIFY_SOCKET": "@absent", "WATCHDOG_USEC": "3000000"}
    notifier = Notifier(environ)
    assert notifier.interval == 1.5
    notifier.alive()
