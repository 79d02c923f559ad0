from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from netioctl.wire.errors import ConfigError
from netiod import children, privileges

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

CAP_KILL, CAP_SYS_ADMIN = 5, 21


def in_child(body: Callable[[], object]) -> object:
    """What `body` returns, as text, or the name of what it raises, from a forked child."""
    reader, writer = os.pipe()

    def run() -> int:
        try:
            text = str(body())
        except Exception as error:  # noqa: BLE001
            text = type(error).__name__
        os.write(writer, text.encode())
        return 0

    pid = children.fork("test", run, [writer])
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def nobody() -> privileges.Account:
    return privileges.find_account("nobody")


def status(*names: str) -> str:
    return " ".join("".join(privileges._status(name)) for name in names)


def test_nothing_is_left() -> None:
    def body() -> str:
        privileges.drop(nobody())
        return status("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups")

    assert in_child(body) == " ".join(["0" * 16] * 5) + " 1 "


def test_ids_are_all_the_users() -> None:
    def body() -> bool:
        account = nobody()
        privileges.drop(account)
        return (os.getresuid(), os.getresgid(), os.getgroups()) == (
            (account.uid,) * 3,
            (account.gid,) * 3,
            [],
        )

    assert in_child(body) == "True"


def test_root_cannot_be_had_again() -> None:
    def body() -> None:
        privileges.drop(nobody())
        os.setuid(0)

    assert in_child(body) == "PermissionError"


def test_kept_capabilities_are_effective_and_the_only_ones() -> None:
    def body() -> list[int]:
        privileges.drop(nobody(), [CAP_KILL, CAP_SYS_ADMIN])
        # Root's process: only CAP_KILL allows this.
        os.kill(1, 0)
        return sorted(privileges.capabilities())

    assert in_child(body) == "[5, 21]"


def test_without_capabilities_no_signal_reaches_root() -> None:
    def body() -> None:
        privileges.drop(nobody())
        os.kill(1, 0)

    assert in_child(body) == "PermissionError"


def test_a_process_of_the_same_user_sees_nothing() -> None:
    def body() -> bool:
        privileges.drop(nobody())
        return os.stat("/proc/self/environ").st_uid == 0

    assert in_child(body) == "True"


def test_a_root_directory_of_its_own() -> None:
    def body() -> list[str]:
        privileges.drop(nobody(), root="/proc/self/fdinfo/..")
        return [os.getcwd(), str(os.path.exists("/status")), str(os.path.exists("/../../etc"))]

    assert in_child(body) == "['/', 'True', 'False']"


def test_root_keeps_what_it_is_to_keep_and_nothing_else() -> None:
    def body() -> str:
        privileges.reduce([CAP_KILL, CAP_SYS_ADMIN, 63])
        return f"{os.getuid()} " + status("CapPrm", "CapEff", "CapBnd", "CapInh", "NoNewPrivs")

    assert in_child(body) == "0 " + " ".join([f"{1 << 5 | 1 << 21:016x}"] * 3 + ["0" * 16, "1"])


def test_a_program_that_root_starts_gains_nothing() -> None:
    def body() -> str:
        privileges.reduce([CAP_KILL])
        command = ["grep", "^CapEff", "/proc/self/status"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert in_child(body) == f"CapEff:\t{1 << CAP_KILL:016x}\n"


def test_capabilities_for_hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paranoid = tmp_path / "paranoid"
    monkeypatch.setattr(privileges, "_PERF_PARANOID", str(paranoid))
    assert privileges.for_hooks() == {38, 39}
    paranoid.write_text("3\n")
    assert privileges.for_hooks() == {21, 38, 39}
    (tmp_path / "last").write_text("37\n")
    monkeypatch.setattr(privileges, "_LAST_CAP", str(tmp_path / "last"))
    assert privileges.for_hooks() == {21}


def test_privileges_in_another_thread_are_an_error() -> None:
    def body() -> None:
        stop = threading.Event()
        threading.Thread(target=stop.wait, daemon=True).start()
        privileges.drop(nobody())

    assert in_child(body) == "RuntimeError"


def test_a_failing_step_is_an_error() -> None:
    def body() -> None:
        privileges.drop(nobody())
        privileges.drop(privileges.Account("daemon", 1, 1))

    assert in_child(body) == "PermissionError"


def test_a_child_dies_with_its_parent() -> None:
    reader, writer = os.pipe()

    def parent() -> int:
        own = os.getpid()

        def child() -> int:
            privileges.drop(nobody())
            privileges.die_with_parent(own, signal.SIGKILL)
            os.write(writer, b"up")
            signal.pause()
            return 0

        children.fork("test-child", child, [writer])
        # Not before the child has asked for its death: then it would not start at all.
        signal.sigwait([signal.SIGTERM])
        return 0

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        pid = children.fork("test-parent", parent, [writer])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read(2) == b"up"
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        # The end comes when the last holder of the other end has gone.
        assert pipe.read() == b""


def test_an_orphan_ends_at_once() -> None:
    def body() -> int:
        privileges.die_with_parent(1 if os.getppid() != 1 else 2, signal.SIGTERM)
        return 0

    pid = children.fork("test", body, [])
    assert children.describe(os.waitpid(pid, 0)[1]) == "ended with status 1"


def test_users() -> None:
    assert nobody().uid != 0
    assert privileges.find_account("netio").uid != 0
    with pytest.raises(ConfigError, match="no user no-such-user"):
        privileges.find_account("no-such-user")
    with pytest.raises(ConfigError, match="root"):
        privileges.find_account("root")
    assert privileges.find_group("no-such-group") is None
    assert privileges.find_group("root") == 0


def test_the_default_user_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(privileges, "DEFAULT_USER", "no-such-user")
    with caplog.at_level("WARNING", "netiod"):
        assert privileges.find_account("no-such-user") == nobody()
    assert "runs as nobody instead" in caplog.text
