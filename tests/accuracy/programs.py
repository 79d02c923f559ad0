"""The generator and the daemon: how they are built, started, asked, ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from netioctl.client import Client
from netioctl.wire.errors import DaemonUnreachable, NetioError

#: The checkout: modules are run from here.
TOP = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).with_name("generator")
#: Without NETIO_RUN_DIR: every command is told where.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}
#: Seconds for a daemon to be ready, and for one operation: an emulated machine is slow.
_PATIENCE = 300.0
_OPERATION = 90.0


#: netiod, which gives its loader that time, too.
_START = f"""
import sys
from netiod import loading, main
loading.LOAD_TIME = {_PATIENCE}
sys.exit(main.main())
"""


class AccuracyError(Exception):
    """Something could not be run; the text says why."""


class NoAnswer(AccuracyError):
    """The generator is stuck; the text says where."""


def build(directory: Path, static: bool = False) -> Path:
    """Compile the generator into `directory`; `static` if it has to run on another system, too.

    Raises:
        AccuracyError: there is no gcc, or it fails.
    """
    program = directory / "generator"
    sources = sorted(map(str, SOURCES.glob("*.c")))
    command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-pthread", "-o", str(program)]
    command += ["-static"] if static else []
    try:
        done = subprocess.run([*command, *sources], capture_output=True, text=True, check=False)
    except OSError as error:
        raise AccuracyError(f"gcc: {error.strerror}") from error
    if done.returncode:
        raise AccuracyError(f"the generator does not compile:\n{done.stderr}")
    return program


class Offer(NamedTuple):
    """An operation that the generator offers: `direction` is send, recv or both."""

    name: str
    direction: str


class Moved(NamedTuple):
    """What the calls of one process returned; `peer`: ADDRESS:PORT of the other end, if told."""

    pid: int
    direction: str
    bytes: int
    ops: int
    peer: str = ""


class Report(NamedTuple):
    """What became of an operation: `end` is done, absent or wrong, `text` why."""

    end: str
    text: str
    moved: tuple[Moved, ...]
    notes: tuple[str, ...]


class Generator:
    """A process of generator/main.c that serves one family.

    `absent` says why this kernel does not have the family, or is None.

    Raises, here and in run():
        NoAnswer: it is stuck.
        AccuracyError: it ended.
    """

    def __init__(self, program: Path, family: str) -> None:
        self._process = subprocess.Popen(
            [str(program), family], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
        )
        self._data = b""
        self.pid = self._process.pid
        self.absent: str | None = None
        self.offers: list[Offer] = []
        while (words := self._line())[0] == "op":
            self.offers.append(Offer(words[1], words[2]))
        if words[0] == "absent":
            self.absent = " ".join(words[1:])

    @staticmethod
    def families(program: Path) -> list[str]:
        """The names of all families."""
        done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def run(self, name: str, watch: Callable[[int], None], choose: Callable[[str], None]) -> Report:
        """Do one operation; `watch(pid)` is called for every other process that takes part, or
        `choose(name)` for those that will have that name."""
        moved: list[Moved] = []
        notes: list[str] = []
        self._tell(f"run {name}")
        while True:
            words = self._line()
            if words[0] == "watch":
                watch(int(words[1]))
                self._tell("go")
            elif words[0] == "choose":
                choose(words[1])
                self._tell("go")
            elif words[0] == "moved":
                numbers = int(words[3]), int(words[4])
                moved.append(Moved(int(words[1]), words[2], *numbers, *words[5:6]))
            elif words[0] == "note":
                notes.append(" ".join(words[1:]))
            else:
                return Report(words[0], " ".join(words[1:]), tuple(moved), tuple(notes))

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def _line(self) -> list[str]:
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        deadline = time.monotonic() + _OPERATION
        while b"\n" not in self._data:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                raise NoAnswer(
                    f"the generator does not answer for {_OPERATION:g} s; it is in {self._place()}"
                )
            data = os.read(stdout, 65536)
            if not data:
                raise self._ended()
            self._data += data
        line, self._data = self._data.split(b"\n", 1)
        return line.decode().split()

    def _place(self) -> str:
        """Functions of the kernel that it is in, the innermost first."""
        try:
            lines = Path(f"/proc/{self.pid}/stack").read_text().splitlines()
        except OSError as error:
            return f"an unknown place ({error.strerror})"
        return " < ".join(line.split()[-1].split("+")[0] for line in lines[:8]) or "user mode"

    def _ended(self) -> AccuracyError:
        return AccuracyError(f"the generator ended with {self._process.wait(_PATIENCE)}")


class Daemon:
    """A netiod of our own, with one back-end."""

    def __init__(self, run_dir: Path, log: Path, process: subprocess.Popen[bytes]) -> None:
        self._log, self._process = log, process
        deadline = time.monotonic() + _PATIENCE
        while True:
            if process.poll() is not None:
                raise AccuracyError(self._why())
            # Once the socket is there, the connection waits in its queue for the broker.
            with contextlib.suppress(DaemonUnreachable):
                self.client = Client(run_dir, timeout=_PATIENCE)
                break
            if time.monotonic() > deadline:
                raise AccuracyError(f"netiod is not ready after {_PATIENCE:g} s")
            time.sleep(0.02)

    def hooks(self) -> Mapping[str, Any]:
        """What `status` says of the back-end."""
        backend: Mapping[str, Any] = self.client.status()["backend"]
        return backend

    def _why(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        told = [line for line in lines if " starts on " not in line]
        return "\n".join(told[-8:]) or f"netiod ended with {self._process.returncode}"


@contextlib.contextmanager
def private_daemon(scratch: Path, backend: str) -> Iterator[Daemon]:
    """A netiod of this checkout; an installed one and its configuration are left alone.

    Raises:
        AccuracyError: the back-end does not load; the text is netiod's own.
    """
    run_dir, log = scratch / f"run-{backend}", scratch / f"{backend}.log"
    command = [sys.executable, "-c", _START, "--run-dir", str(run_dir)]
    command += ["--config", "/dev/null", "--backend", backend]
    command += ["--cache-dir", str(scratch / "compiled")]
    with log.open("wb") as output:
        # In a session of its own, so that Ctrl+C reaches this program alone.
        process = subprocess.Popen(
            command,
            cwd=TOP,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        try:
            daemon = Daemon(run_dir, log, process)
        except NetioError as error:
            raise AccuracyError(f"netiod: {error}") from error
        with contextlib.closing(daemon.client):
            yield daemon
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
