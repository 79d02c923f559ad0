"""A netiod of our own on a temporary run directory, and its viewers."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from netioctl.client import Client
from netioctl.targets import Selector
from netioctl.wire.errors import DaemonUnreachable, NetioError
from tests.bench.running import BenchError, running, settle, wait_until

#: Seconds within which a daemon must be ready, whatever the goal is.
_PATIENCE = 30.0
#: Seconds that a light viewer may take to say what it counted: it waits for 1 s of silence.
_LAST_WORDS = 30.0


class Losses(NamedTuple):
    """Events that were lost since the daemon started: in the kernel's ring, in the daemon."""

    kernel: int
    daemon: int


class Counted(NamedTuple):
    """What a light viewer counted: see subscriber.py."""

    events: int
    missed: int
    kernel: int
    frames: int
    cpu: float


class LightViewer:
    """A process of subscriber.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_ready(self) -> None:
        """Wait until its stream has begun."""
        if self._line() != "ready":
            raise BenchError("a light viewer did not get its stream")

    def ask(self) -> None:
        """Ask for the result, without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write("end\n")
        self._process.stdin.flush()

    def counted(self) -> Counted:
        """The result that was asked for."""
        return Counted(**json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: Any = self._process.stdout.readline()
        if not line:
            raise BenchError(f"a light viewer ended with {self._process.wait(_LAST_WORDS)}")
        return str(line).rstrip("\n")


class Daemon:
    """A netiod that answers. `ready` is how long that took, in seconds."""

    def __init__(
        self, run_dir: Path, log: Path, process: subprocess.Popen[Any], begin: float
    ) -> None:
        self.run_dir = run_dir
        self._log, self._process = log, process
        wait_until(self._answers, _PATIENCE, "netiod answers")
        self.ready = time.monotonic() - begin

    @property
    def backend(self) -> str:
        """The name of the back-end that was chosen."""
        return str(self.status()["backend"]["name"])

    def status(self) -> dict[str, Any]:
        """What `netioctl status --json` prints for root."""
        with Client(self.run_dir) as client:
            return dict(client.status())

    def losses(self) -> Losses:
        """Events lost so far."""
        lost = self.status()["lost"]
        return Losses(lost["kernel"], lost["daemon"])

    def pids(self) -> list[int]:
        """All processes of the daemon."""
        return [process["pid"] for process in self.status()["processes"]]

    def add(self, *pids: int) -> None:
        """What `netioctl add` does."""
        with Client(self.run_dir) as client:
            for failure in client.add(pids).errors:
                raise BenchError(f"netiod does not add {failure.pid}: {failure.message}")

    def choose(self, name: str) -> None:
        """What `netioctl add --name` does."""
        with Client(self.run_dir) as client:
            client.add((), selectors=(Selector("name", name, f"--name {name}"),))

    def command(self, verb: str, *arguments: Any) -> list[str]:
        """A netioctl command line."""
        own = [sys.executable, "-m", "netioctl", verb, "--run-dir", str(self.run_dir)]
        return [*own, *map(str, arguments)]

    @contextlib.contextmanager
    def viewer(
        self, *arguments: Any, stdout: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[Any]]:
        """`netioctl watch`, with stdout to nowhere as a rule; it watches when this is entered."""
        command = self.command("watch", *arguments)
        with running(
            command,
            signal.SIGINT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            said = b""
            # The lease comes first, and the stream later, the more so with the gate's start.
            while not (line := process.stderr.readline()).startswith(b"watching "):
                if not line:
                    raise BenchError(f"netioctl watch ended: {said.decode()}")
                said += line
            settle(process.pid)
            yield process

    @contextlib.contextmanager
    def light_viewers(self, pids: int | Iterable[int], count: int) -> Iterator[list[LightViewer]]:
        """So many light viewers of the same process or processes; their streams have begun."""
        command = [sys.executable, "-m", "tests.bench.subscriber", str(self.run_dir)]
        command += map(str, [pids] if isinstance(pids, int) else pids)
        with contextlib.ExitStack() as stack:
            viewers = [
                LightViewer(
                    stack.enter_context(
                        running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                    )
                )
                for _ in range(count)
            ]
            for viewer in viewers:
                viewer.wait_ready()
            yield viewers

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            log = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
            raise BenchError(f"netiod ended with {self._process.returncode}: {log}")
        try:
            # Once the socket is there, the connection waits in its queue for the broker.
            with Client(self.run_dir, timeout=_PATIENCE):
                return True
        except DaemonUnreachable:
            return False


@contextlib.contextmanager
def private_daemon(scratch: Path, *options: str) -> Iterator[Daemon]:
    """A netiod with its defaults, but for `options`; an installed one and its configuration are
    left alone."""
    run_dir, log = scratch / "run", scratch / "netiod.log"
    command = [sys.executable, "-m", "netiod", "--run-dir", str(run_dir), "--config", "/dev/null"]
    # Its own, lest the first start be the one that some other left compiled; options win.
    command += ["--cache-dir", str(scratch / "compiled"), *options]
    begin = time.monotonic()
    with (
        log.open("wb") as output,
        running(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process,
    ):
        try:
            daemon = Daemon(run_dir, log, process, begin)
        except NetioError as error:
            raise BenchError(f"netiod: {error}") from error
        yield daemon
