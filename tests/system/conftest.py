"""A real netiod on a run directory of its own, real traffic, and netioctl as any user."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netiod.btf import Btf
from netiod.features import Features

TOP = Path(__file__).resolve().parents[2]
TRAFFIC = Path(__file__).with_name("traffic.py")
#: What this kernel has, and how many times slower than a machine this one is: tests.kernels says.
BACKENDS = os.environ.get("NETIO_TEST_BACKENDS", "tracepoint syscall").split()
PATIENCE = float(os.environ.get("NETIO_TEST_PATIENCE", "1"))
#: Where a start takes many seconds, tests share a daemon: those that tests.kernels chooses can.
SHARED = bool(os.environ.get("NETIO_TEST_SHARED"))
#: Compiled programs of all daemons of a session.
CACHE = tempfile.TemporaryDirectory(prefix="netio-compiled-")
#: Two users that own nothing on any machine.
ALICE, BOB = 54321, 54322


def as_user(uid: int | None) -> list[str]:
    """The beginning of a command that runs as `uid`, without groups."""
    if uid is None:
        return []
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]


def wait_until(condition: Callable[[], Any], seconds: float = 5.0, what: str = "") -> Any:
    """The first true value of `condition`; fails after `seconds`, on a slow machine later."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not so after {seconds * PATIENCE:g} s: {what or condition}")
        time.sleep(0.01)


class Traffic:
    """A process of traffic.py, ready to begin."""

    def __init__(self, kind: str, *arguments: Any, uid: int | None = None) -> None:
        command = [*as_user(uid), sys.executable, str(TRAFFIC), kind, *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.pid = self.process.pid

    def start(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What its own calls returned."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def run(self) -> dict[str, Any]:
        """start() and result()."""
        self.start()
        return self.result()

    def end(self) -> None:
        """Let it exit."""
        self.process.communicate()


class Watch:
    """`netioctl watch` in the background; its stdout as lines."""

    def __init__(self, daemon: Daemon, *arguments: Any, uid: int | None = None) -> None:
        self.process = subprocess.Popen(
            daemon.command("watch", *arguments, uid=uid),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=TOP,
            env=daemon.environment,
        )

    def wait_ready(self) -> Watch:
        """Wait until it says that it watches."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if line.startswith("watching "):
                return self
        pytest.fail(f"watch ended: {''.join(seen)}")

    def finish(self, sig: int | None = signal.SIGINT, seconds: float = 20) -> tuple[int, str, str]:
        """(exit status, stdout, stderr), after `sig` unless that is None."""
        if sig is not None:
            self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=seconds * PATIENCE)
        return self.process.returncode, out, err

    def objects(self, sig: int | None = signal.SIGINT) -> list[dict[str, Any]]:
        """finish(), with stdout read as JSON lines."""
        status, out, err = self.finish(sig)
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]


class Daemon:
    """netiod as a process."""

    def __init__(self, run_dir: Path, *options: Any, setup: str = "") -> None:
        """`setup`: Python that is run before netiod, in its process."""
        self.run_dir = run_dir
        if PATIENCE > 1:
            setup = setup or "pass"
            setup += f"; from netiod import loading; loading.LOAD_TIME *= {PATIENCE}"
        start = f"{setup}; import sys; from netiod.main import main; sys.exit(main())"
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            # The second is bcc's own, with Python 3.14.
            "PYTHONWARNINGS": "error,ignore:Due to '_pack_'",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.log_path = run_dir.with_suffix(".log")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *(["-c", start] if setup else ["-m", "netiod"]),
                    "--run-dir",
                    str(run_dir),
                    "-v",
                    *("--cache-dir", CACHE.name),
                    *map(str, options),
                ],
                cwd=TOP,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._ready, 20, "netiod is ready")

    @property
    def defects(self) -> str:
        """What the log holds that no netiod should ever write."""
        words = ("Traceback", "Warning", "failed", "ended with")
        return "\n".join(line for line in self.log.splitlines() if any(w in line for w in words))

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_path.read_text()

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"netiod ended with {self.process.returncode}:\n{self.log}")
        return " ready: " in self.log

    def command(self, *arguments: Any, uid: int | None = None) -> list[str]:
        """A netioctl command line."""
        own = [sys.executable, "-m", "netioctl", "--run-dir", str(self.run_dir)]
        return [*as_user(uid), *own, *map(str, arguments)]

    def ctl(self, *arguments: Any, uid: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run netioctl to its end."""
        return subprocess.run(
            self.command(*arguments, uid=uid),
            cwd=TOP,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30 * PATIENCE,
            check=False,
        )

    def json(self, *arguments: Any, uid: int | None = None) -> list[dict[str, Any]]:
        """The JSON lines that `netioctl ... --json` prints."""
        done = self.ctl(*arguments, "--json", uid=uid)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def summary(self, *pids: int, uid: int | None = None) -> dict[str, Any]:
        """`netioctl summary --json`."""
        (found,) = self.json("summary", *pids, uid=uid)
        return found

    def status(self) -> dict[str, Any]:
        """`netioctl status --json`."""
        (found,) = self.json("status")
        return found

    def connect(self, uid: int | None = None) -> socket.socket:
        """A raw connection to the control socket."""
        assert uid is None
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10 * PATIENCE)
        sock.connect(str(self.run_dir / "control.sock"))
        return sock

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15 * PATIENCE)

    def memory(self) -> int:
        """PSS of all of netiod's processes, in bytes."""
        return sum(each["pss"] or 0 for each in self.status()["processes"])

    def kill(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


StartDaemon = Callable[..., Daemon]
StartTraffic = Callable[..., Traffic]


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """No test holds up the rest: SIGALRM ends what waits for ever."""
    limit = int(120 * PATIENCE)

    def late(_signal: int, _frame: Any) -> None:
        pytest.fail(f"not done after {limit} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("system tests load BPF programs: run them as root (sudo ./netio test)")


def open_to_all(directory: Path) -> Path:
    """`directory`, which brokers and users without privileges may enter now."""
    directory.chmod(0o755)
    for parent in directory.parents:
        if parent.owner() == "root" and parent != Path("/tmp") and str(parent) != "/":
            parent.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Daemon]]:
    """The daemon for a back-end that all tests of a session share."""
    daemons: dict[str, Daemon] = {}

    def find(backend: str) -> Daemon:
        if backend not in daemons:
            directory = open_to_all(tmp_path_factory.mktemp(backend))
            daemons[backend] = Daemon(directory / "run", "--backend", backend)
        daemon = daemons[backend]
        assert (daemon.process.poll(), daemon.defects) == (None, "")
        return daemon

    yield find
    for daemon in daemons.values():
        daemon.kill()


@pytest.fixture
def start_daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartDaemon]:
    """Start a netiod with options; it is ended with the test."""
    open_to_all(tmp_path)
    daemons: list[Daemon] = []

    def start(*options: Any, run_dir: Path | None = None, setup: str = "") -> Daemon:
        place = run_dir or tmp_path / f"run{len(daemons)}"
        daemons.append(Daemon(place, *options, setup=setup))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.kill()
    # A test that kills on purpose asks for a marker; else nothing may have gone wrong unseen.
    if not request.node.get_closest_marker("faults"):
        assert [daemon.defects for daemon in daemons] == [""] * len(daemons)


def needs_kprobes() -> None:
    """Skip the test where the kernel has none."""
    if not Features(Btf.of_kernel()).kprobes:
        pytest.skip("this kernel has no kprobes (CONFIG_KPROBES)")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each back-end in turn."""
    return str(request.param)


def _shares(request: pytest.FixtureRequest) -> bool:
    return SHARED and not request.node.get_closest_marker("faults")


@pytest.fixture
def backend_daemon(
    request: pytest.FixtureRequest,
    backend: str,
    start_daemon: StartDaemon,
    shared_daemon: Callable[[str], Daemon],
) -> Daemon:
    """A netiod with that back-end; processes of other tests may be in its list."""
    if _shares(request):
        return shared_daemon(backend)
    return start_daemon("--backend", backend)


@pytest.fixture
def daemon(
    request: pytest.FixtureRequest,
    start_daemon: StartDaemon,
    shared_daemon: Callable[[str], Daemon],
) -> Daemon:
    """A netiod with its defaults."""
    return shared_daemon("auto") if _shares(request) else start_daemon()


@pytest.fixture
def traffic() -> Iterator[StartTraffic]:
    """Start traffic processes; they are ended with the test."""
    started: list[Traffic] = []

    def start(kind: str, *arguments: Any, uid: int | None = None) -> Traffic:
        started.append(Traffic(kind, *arguments, uid=uid))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
