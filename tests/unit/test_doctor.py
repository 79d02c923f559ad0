"""`netioctl doctor`: each check says what is wrong, and what to do."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl import __version__, doctor
from netioctl.doctor import needs, service
from netioctl.doctor.finding import Finding, Result
from netioctl.main import main
from netioctl.render import findings
from netioctl.wire import PROTOCOL_VERSION
from netiod import checkup, settings
from tests.unit.fake_daemon import FakeDaemon, running

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(run_dir: Path) -> tuple[int, list[dict[str, Any]], str]:
        status = main(["doctor", "--json", "--run-dir", str(run_dir)])
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return run


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.run_dir.chmod(0o755)
        yield daemon


def of(rows: list[dict[str, Any]], check: str) -> dict[str, Any]:
    (found,) = [row for row in rows if row["check"] == check]
    return found


def test_without_a_daemon(run: Run, tmp_path: Path) -> None:
    status, rows, err = run(tmp_path / "absent")
    assert status == 1
    for check in ("run directory", "daemon"):
        assert of(rows, check)["result"] == "fail"
        assert "netiod" in of(rows, check)["remedy"]
    assert err.startswith("2 failed")
    # All the rest was looked at as well, what netiod needs in a process of its own.
    assert {name for name, _ in checkup.CHECKS} < {row["check"] for row in rows}
    assert all(set(row) == {"type", "check", "result", "text", "remedy"} for row in rows)
    assert all(row["remedy"] for row in rows if row["result"] == "fail")


def test_text_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--run-dir", "/absent"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    failed = [at for at, line in enumerate(lines) if line.startswith("FAIL")]
    assert len(failed) == 2
    assert any("-> " in line for line in lines[failed[0] : failed[1]])


def test_nothing_in_a_finding_steers_a_terminal() -> None:
    text = findings.text(Finding("daemon", Result.WARN, "a\x1b[31m", "b\x07"), None)
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


@needs_root
@pytest.mark.parametrize(
    ("version", "result"), [(__version__, "ok"), ("0.0.1", "warn")], ids=["same", "another"]
)
def test_with_a_daemon(run: Run, daemon: FakeDaemon, version: str, result: str) -> None:
    hello = {"protocol": PROTOCOL_VERSION, "version": version, "layout": 1, "operator": False}
    daemon.answers["hello"] = {"result": hello}
    backend = {
        "name": "syscall",
        "blind": ["io_uring and AIO"],
        "missing": [{"hook": "connect", "why": "absent; peers are not known"}],
    }
    daemon.answers["status"] = {"result": {"backend": backend, "lost": {"ring": 3, "viewers": 0}}}
    status, rows, _ = run(daemon.run_dir)
    assert status == 0
    assert (of(rows, "daemon")["result"], of(rows, "run directory")["result"]) == (result, "ok")
    assert version in of(rows, "daemon")["text"]
    seen = [row["text"] for row in rows if row["check"] == "back-end"]
    assert [("io_uring" in text, "peers" in text) for text in seen] == [
        (True, False),
        (False, True),
    ]
    assert of(rows, "losses")["text"] == "ring 3"


@needs_root
def test_a_run_directory_that_others_may_write_to(run: Run, daemon: FakeDaemon) -> None:
    daemon.run_dir.chmod(0o777)
    status, rows, _ = run(daemon.run_dir)
    assert status == 1
    assert "chmod 755" in of(rows, "run directory")["remedy"]


def test_another_daemon_protocol(run: Run, daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = {"error": {"code": -32004, "message": "install the same version"}}
    status, rows, _ = run(daemon.run_dir)
    assert status == 1
    assert of(rows, "daemon")["result"] == "fail"


def look(name: str) -> checkup.Found:
    return checkup._look(dict(checkup.CHECKS)[name])


def test_the_other_bcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text("raise SystemExit('was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "bcc", raising=False)
    importlib.invalidate_caches()
    found = look("bcc")
    assert (found.result, "another project's" in found.text) == ("fail", True)
    assert found.remedy is not None
    assert found.remedy.startswith("pip uninstall bcc")


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("none [integrity] confidentiality\n", "ok"),
        ("none integrity [confidentiality]\n", "fail"),
        (None, "ok"),
    ],
)
def test_lockdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str | None, result: str
) -> None:
    if state is not None:
        (tmp_path / "lockdown").write_text(state)
    monkeypatch.setattr(checkup, "_LOCKDOWN", tmp_path / "lockdown")
    assert look("lockdown").result == result


def test_a_broken_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "netiod.toml"
    file.write_text("frob = 1\n")
    monkeypatch.setattr(settings, "DEFAULT_CONFIG", str(file))
    monkeypatch.setattr(settings.load, "__defaults__", (None,))
    found = look("netiod.toml")
    assert found.result == "fail"
    assert "frob" in found.text


@pytest.mark.parametrize(
    ("service_state", "socket_state", "result", "said"),
    [
        ("loaded active", "loaded inactive", "ok", "active"),
        ("loaded inactive", "loaded active", "ok", "netiod.socket"),
        ("loaded failed", "loaded inactive", "fail", "journalctl -u netiod"),
        ("loaded inactive", "loaded inactive", "warn", "systemctl enable --now"),
        ("not-found inactive", "not-found inactive", "warn", "not installed"),
    ],
)
def test_units(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    service_state: str,
    socket_state: str,
    result: str,
    said: str,
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        "#!/bin/sh\n"
        f"case $3 in netiod.service) set -- {service_state} ;; *) set -- {socket_state} ;; esac\n"
        'printf "LoadState=%s\\nActiveState=%s\\n" "$@"\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(service, "_SYSTEMD", str(tmp_path))
    (found,) = service.unit("")
    assert found.result.value == result
    assert said in f"{found.text} {found.remedy}"


def test_a_client_without_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.netioctl, "__file__", str(tmp_path / "netioctl" / "__init__.py"))
    (found,) = needs.of_daemon("")
    assert found.result is Result.WARN
    assert found.remedy is not None


def test_every_check_has_its_findings(tmp_path: Path) -> None:
    for check in doctor.CHECKS:
        assert check(str(tmp_path)), check
