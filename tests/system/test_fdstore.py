"""The supervisor killed: with a service manager that keeps descriptors, and without one; and the
control socket where that is the service manager's.

What systemd does with them is played here (sd_notify(3), sd_listen_fds(3)); netiod, the kernel's
programs and the traffic are real.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import CACHE, TOP, Daemon, StartDaemon, StartTraffic, wait_until

pytestmark = pytest.mark.faults

#: Puts the descriptors given as arguments where a service expects them, and becomes it.
_LAUNCH = """
import fcntl, os, sys
count = int(sys.argv[1])
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 500) for fd in sys.argv[2:2 + count]]
for target, fd in enumerate(high, 3):
    os.dup2(fd, target)
os.closerange(3 + count, 4096)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(count)
os.execv(sys.executable, [sys.executable, *sys.argv[2 + count:]])
"""


class Manager:
    """Keeps what a service stores, by name, and starts it again with that."""

    def __init__(self, place: Path) -> None:
        self.path, self.said = place / "notify", b""
        self.kept: dict[str, int] = {}
        #: What netiod.socket would listen on.
        self.control: socket.socket | None = None
        self._started: list[Daemon] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            text, fds, _, _ = socket.recv_fds(self._socket, 4096, 8)
            if not text:
                return
            self.said = text
            lines = dict(line.split(b"=", 1) for line in text.splitlines())
            name = lines.get(b"FDNAME", b"").decode()
            assert ":" not in name
            if b"FDSTORE" in lines:
                (self.kept[name],) = fds
            elif b"FDSTOREREMOVE" in lines:
                # Of what there is not, as systemd does, nothing.
                for fd in [self.kept.pop(name)] if name in self.kept else []:
                    os.close(fd)

    def close(self) -> None:
        """End what was started, and let go of everything."""
        for daemon in self._started:
            daemon.kill()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()
        for fd in self.kept.values():
            os.close(fd)

    def start(self, run_dir: Path, *options: str) -> Daemon:
        """A netiod with all that is kept."""
        daemon = object.__new__(Daemon)
        daemon.run_dir = run_dir
        daemon.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONWARNINGS": "error"}
        daemon.log_path = run_dir.with_suffix(f".{time.monotonic_ns()}.log")
        arguments = ["-m", "netiod", "--run-dir", str(run_dir), "-v", *options]
        arguments += ["--cache-dir", CACHE.name]
        passed = {} if self.control is None else {"control": self.control.fileno()}
        passed.update(self.kept)
        fds = list(passed.values())
        given = {"NOTIFY_SOCKET": str(self.path), "LISTEN_FDNAMES": ":".join(passed)}
        with daemon.log_path.open("wb") as log:
            self._started.append(daemon)
            daemon.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, str(len(fds)), *map(str, fds), *arguments],
                cwd=TOP,
                env={**daemon.environment, **given},
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return daemon

    def start_ready(self, run_dir: Path, *options: str) -> Daemon:
        """One that serves."""
        daemon = self.start(run_dir, *options)
        wait_until(daemon._ready, 20, "netiod is ready")
        return daemon


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    manager = Manager(tmp_path)
    yield manager
    manager.close()


@pytest.mark.parametrize("backend", ["tracepoint", "syscall"])
def test_totals_are_unbroken_when_the_supervisor_is_killed(
    manager: Manager, traffic: StartTraffic, tmp_path: Path, backend: str
) -> None:
    first = manager.start_ready(tmp_path / "run", "--backend", backend)
    one = traffic("stream", 300_000)
    assert first.ctl("add", one.pid).returncode == 0
    one.start()
    wait_until(lambda: first.summary(one.pid)["total"]["send_ops"] > 1000, what="it is under way")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    before = time.monotonic()
    second = manager.start_ready(tmp_path / "run", "--backend", backend)
    took = time.monotonic() - before
    try:
        assert "going on with the programs and totals" in second.log
        assert "hook " not in second.log  # nothing was loaded anew
        assert took < 5
        said = one.result()
        total = second.summary(one.pid)["total"]
        assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])
        assert total["send_ops"] == 300_000
        (row,) = second.json("list")
        assert row["added_by"] == 0
    finally:
        second.kill()


def test_what_was_kept_for_other_settings_is_given_up(manager: Manager, tmp_path: Path) -> None:
    first = manager.start_ready(tmp_path / "run")
    assert len(manager.kept) > 10
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = manager.start_ready(tmp_path / "run", "--ring-size", "1M")
    try:
        assert "is given up, totals included: it was made for other settings" in second.log
        assert second.status()["ring_size"] == 1 << 20
        # And is replaced by what fits now.
        wait_until(lambda: b"READY=1" in manager.said or b"WATCHDOG" in manager.said)
        assert len(manager.kept) > 10
    finally:
        second.kill()


def test_without_a_manager_the_next_start_says_what_is_gone(
    start_daemon: StartDaemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    first = start_daemon(run_dir=tmp_path / "run")
    one = traffic("unix_pair")
    first.ctl("add", one.pid)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = start_daemon(run_dir=tmp_path / "run")
    assert "was killed: what it counted is gone" in second.log
    assert second.json("list") == []
    assert second.stop() == 0
    third = start_daemon(run_dir=tmp_path / "run")
    assert "was killed" not in third.log


def ask(path: Path) -> socket.socket:
    """A request that has been sent, and its answer not read yet."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(path))
    client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"list"}\n')
    return client


def test_requests_wait_in_systemds_socket(manager: Manager, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o755)
    path = run_dir / "control.sock"
    with socket.socket(socket.AF_UNIX) as manager.control:
        manager.control.bind(str(path))
        manager.control.listen()
        with ask(path) as early:
            first = manager.start(run_dir)
            assert b'"result"' in early.recv(65536)
        assert "was killed" not in first.log
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        with ask(path) as between:
            second = manager.start(run_dir)
            assert b'"result"' in between.recv(65536)
        wait_until(second._ready, 20, "netiod is ready")
        assert second.stop() == 0
        # It is systemd's still: the next request starts the next netiod.
        assert {each.name for each in run_dir.iterdir()} == {"control.sock"}
        with ask(path):
            pass


def test_systemds_socket_is_elsewhere(manager: Manager, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as manager.control:
        manager.control.bind(str(tmp_path / "other.sock"))
        manager.control.listen()
        daemon = manager.start(tmp_path / "run")
        assert daemon.process.wait(20) == 1
    wrong = f"netiod.socket listens on {tmp_path}/other.sock, and netiod serves"
    assert wrong in daemon.log
