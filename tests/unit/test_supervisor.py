from __future__ import annotations

import os
import select
import signal
import socket
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from netioctl import __version__
from netioctl.wire.errors import PrerequisiteError
from netiod import channel, gates, handover, privileges
from netiod.children import Backoff
from netiod.settings import Settings
from netiod.sockets import gate_path
from netiod.words import Words
from tests.unit import stub_daemon
from tests.unit.access_list import access_list
from tests.unit.stub_daemon import CAP_NET_ADMIN, PATIENCE, Daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Start = Callable[..., Daemon]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="netio-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def link(place: Path) -> Iterator[int]:
    """The other end of what stands for a program's link: hangs up when nobody holds it."""
    os.mkfifo(place / "link")
    fd = os.open(place / "link", os.O_RDONLY | os.O_NONBLOCK)
    yield fd
    os.close(fd)


@pytest.fixture
def start(place: Path, link: int) -> Iterator[Start]:
    del link  # The stub loader waits for it.
    started: list[Daemon] = []

    def start(**programs: Any) -> Daemon:
        started.append(Daemon(place / "run", place / "link", **programs))
        return started[-1]

    yield start
    for daemon in started:
        daemon.close()


@pytest.fixture
def daemon(start: Start) -> Daemon:
    daemon = start()
    daemon.line("ready")
    return daemon


def is_held(link: int, patience: float = 0.0) -> bool:
    """Whether somebody holds the link; with `patience` (s): still, after so long."""
    poll = select.poll()
    poll.register(link, 0)
    return not poll.poll(patience * 1000)


def test_from_start_to_stop(start: Start, link: int) -> None:
    daemon = start()
    daemon.line("hook one attached")
    ready = f"netiod {__version__} ready: backend stub, {daemon.run_dir}/control.sock"
    assert daemon.line("ready") == ready
    assert stat.S_IMODE(daemon.run_dir.stat().st_mode) == 0o755
    control = (daemon.run_dir / "control.sock").stat()
    assert (stat.S_IMODE(control.st_mode), control.st_uid) == (0o666, 0)
    assert is_held(link)
    assert daemon.stop() == "ended with status 0"
    assert not is_held(link)
    assert not daemon.run_dir.exists()


def test_the_broker_has_what_it_needs_and_no_more(daemon: Daemon) -> None:
    with daemon.connect() as client:
        found = client.describe()
        seen = Path(f"/proc/{found['pid']}")
        # 0 to 2, listener, channel, the map, the ledger; and of its own making: selector, client.
        assert len(list((seen / "fd").iterdir())) == 9
        assert f"CapPrm:\t{1 << CAP_NET_ADMIN:016x}\n" in (seen / "status").read_text()
    assert found["uid"] == privileges.find_account("netio").uid
    assert found["info"] == {"backend": {"name": "stub"}, "broker_capabilities": [CAP_NET_ADMIN]}
    assert found["names"] == ["map:a", "file:ledger"]
    assert Path(f"/proc/{found['pid']}/comm").read_text() == "netiod-broker\n"


@pytest.mark.parametrize(
    ("order", "logged"),
    [
        ("exit 3", "the broker ended with status 3"),
        ("abort", "the broker was killed by SIGABRT"),
        ("say 00", "the broker sent something else than a message"),
        ("say " + struct.pack("<III", channel.GATE, 0, 0).hex(), "something else than a message"),
        ("say " + "00" * 1000, "the broker sent something else than a message"),
    ],
)
def test_a_broker_that_fails_is_replaced(
    daemon: Daemon, link: int, order: str, logged: str
) -> None:
    with daemon.connect() as client:
        first = client.describe()
        client.tell(order)
        daemon.line(logged)
        client.hear_end()
    daemon.line("ready again")
    assert is_held(link)
    with daemon.connect() as client:
        second = client.describe()
    assert second.pop("pid") != first.pop("pid")
    assert second == first


def test_a_silent_broker_is_replaced(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr(channel, "SILENCE", 0.5)
    daemon = start()
    daemon.line("ready")
    with daemon.connect() as client:
        client.tell("silence")
        daemon.line("the broker was silent")
    daemon.line("ready again")


def test_a_broker_that_keeps_dying_ends_netiod(start: Start, link: int) -> None:
    daemon = start(broker=lambda: lambda _settings, _listener, _to: 7)
    for delay in ("0.0", "0.1", "0.2", "0.4"):
        daemon.line(f"the broker ended with status 7; the next one comes in {delay} s")
    daemon.line("NetioError: the broker ended with status 7, the 5th time in 10 seconds")
    assert daemon.wait() == "ended with status 1"
    assert not daemon.run_dir.exists()
    assert not is_held(link)


def test_a_broker_that_cannot_be_imported_says_why(start: Start) -> None:
    def broken() -> NoReturn:
        raise ImportError("No module named 'numpy'")

    daemon = start(broker=broken)
    daemon.line("netiod: netiod-broker failed: ImportError: No module named 'numpy'")


def test_a_second_daemon_touches_nothing(start: Start, daemon: Daemon) -> None:
    second = start()
    line = second.line("AlreadyRunning")
    assert line.startswith(f"AlreadyRunning: another netiod (PID {daemon.pid}) serves ")
    assert second.wait() == "ended with status 1"
    with daemon.connect() as client:
        assert client.describe()


def test_what_a_killed_daemon_left_is_replaced(start: Start, link: int) -> None:
    first = start()
    first.line("ready")
    with first.connect() as client:
        client.tell("open 1")
        client.hear()
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        # Its children go with it, and no program stays attached: a gate that was being forked
        # is the last to let go.
        client.hear_end()
    assert not is_held(link, PATIENCE)
    names = {"control.sock", "gate-1.sock", "netiod.lock"}
    assert {p.name for p in first.run_dir.iterdir()} == names
    second = start()
    second.line("ready")
    assert {p.name for p in second.run_dir.iterdir()} == names - {"gate-1.sock"}


def test_a_directory_that_was_there_stays(place: Path, start: Start) -> None:
    (place / "run").mkdir(0o755)
    (place / "run" / "other").touch()
    daemon = start()
    daemon.line("ready")
    daemon.stop()
    assert [p.name for p in daemon.run_dir.iterdir()] == ["other"]


def test_a_loader_that_fails(start: Start) -> None:
    def failing(_settings: Settings, to: socket.socket, _words: Words) -> NoReturn:
        handover.send_error(to, PrerequisiteError("install something"))
        os._exit(1)

    daemon = start(loader=lambda: failing)
    daemon.line("PrerequisiteError: install something")
    assert daemon.wait() == "ended with status 1"
    assert not daemon.run_dir.exists()


@pytest.mark.parametrize(
    ("end", "how"),
    [(os.abort, "was killed by SIGABRT"), (lambda: os._exit(0), "ended with status 0")],
)
def test_a_loader_that_dies(start: Start, end: Callable[[], None], how: str) -> None:
    daemon = start(loader=lambda: lambda _settings, _to, _words: end())
    daemon.line(f"NetioError: loading the BPF programs failed: the loader {how}")


def test_the_last_words_of_a_loader_are_told(start: Start) -> None:
    def out_of_memory(_settings: Settings, _to: socket.socket, words: Words) -> None:
        with words.caught():
            os.write(2, b"warning: something\nLLVM ERROR: out of \x1bmemory\n\n")
            os.abort()

    daemon = start(loader=lambda: out_of_memory)
    daemon.line("the loader was killed by SIGABRT: LLVM ERROR: out of ?memory")


def test_stop_while_loading(start: Start) -> None:
    def endless(_settings: Settings, to: socket.socket, _words: Words) -> None:
        handover.send_log(to, "loading")
        signal.pause()

    daemon = start(loader=lambda: endless)
    daemon.line("loading")
    assert daemon.stop() == "ended with status 0"
    assert not daemon.run_dir.exists()


def test_a_child_that_ignores_sigterm_is_killed(
    monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    def deaf(settings: Settings, listener: socket.socket, to: socket.socket) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return stub_daemon.broker(settings, listener, to)

    monkeypatch.setattr("netiod.supervisor.GRACE", 0.2)
    daemon = start(broker=lambda: deaf)
    daemon.line("ready")
    assert daemon.stop() == "ended with status 0"
    daemon.line("does not end by itself")


def test_sighup_and_sigint(daemon: Daemon) -> None:
    os.kill(daemon.pid, signal.SIGHUP)
    with daemon.connect() as client:
        assert client.describe()
    os.kill(daemon.pid, signal.SIGINT)
    assert daemon.wait() == "ended with status 0"


def test_gates_come_and_go(daemon: Daemon) -> None:
    path = Path(gate_path(str(daemon.run_dir), 1))
    with daemon.connect() as client:
        client.tell("open 1")
        op, uid, first = client.hear()
        assert (op, uid) == (channel.GATE, 1)
        assert access_list(path) == "root 6, uid 1 6, root's group 0, mask 6, others 0"
        os.kill(first, signal.SIGKILL)
        assert client.hear() == (channel.GATE_ENDED, 1, first)
        daemon.line("the gate of uid 1 was killed by SIGKILL; the next one comes in 0.1 s")
        op, uid, second = client.hear()
        assert (op, uid) == (channel.GATE, 1)
        client.tell("close 1")
        daemon.line("the gate of uid 1 is closed")
        assert not path.exists()
        client.tell("open 1")
        third = client.hear()[2]
        assert len({first, second, third}) == 3
        client.tell("exit 0")
        daemon.line("the gate of uid 1 is closed")
    daemon.line("ready again")
    assert not path.exists()


def test_the_operators_gate_is_their_groups(daemon: Daemon) -> None:
    with daemon.connect() as client:
        client.tell(f"open {channel.OPERATORS}")
        assert client.hear()[:2] == (channel.GATE, channel.OPERATORS)
        found = access_list(daemon.run_dir / "gate-operators.sock")
    group = privileges.find_group("netio")
    assert found == f"root 6, root's group 0, gid {group} 6, mask 6, others 0"


def test_there_is_a_limit_on_gates(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr(gates, "MAX_GATES", 1)
    daemon = start()
    daemon.line("ready")
    with daemon.connect() as client:
        client.tell("open 1")
        assert client.hear()[:2] == (channel.GATE, 1)
        client.tell("open 2")
        assert client.hear() == (channel.GATE_ENDED, 2, 0)
        client.tell("close 1")
        daemon.line("is closed")
        client.tell("open 2")
        assert client.hear()[:2] == (channel.GATE, 2)


def test_systemd_is_told(monkeypatch: pytest.MonkeyPatch, place: Path, start: Start) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place / "notify"))
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        daemon = start()
        told: list[str] = []
        while "READY=1\nSTATUS=back-end stub" not in told or told[-1] != "WATCHDOG=1":
            told.append(manager.recv(1000).decode())
        daemon.stop()
        while told[-1] == "WATCHDOG=1":
            told.append(manager.recv(1000).decode())
        assert told[-1].startswith("STOPPING=1")


def test_backoff() -> None:
    backoff = Backoff(0.0)
    waits = [round(backoff.after(0.0), 1) for _ in range(9)]
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.after(60.0) == 0.0
    assert Backoff(0.1).after(0.0) == 0.1
