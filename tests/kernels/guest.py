"""Inside a virtual machine: the matrix on some back-ends and some system tests, all at once.

What it finds goes to files in the share: BACKEND.json of the matrix, tests.xml of the tests, or
NAME.log where one broke off. Lines on standard output say how far it is.
"""

from __future__ import annotations

import functools
import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from netiod.settings import BACKENDS
from tests.accuracy.beside import Turns
from tests.kernels.running import PROGRESS
from tests.kernels.what import TESTS, expected

SHARE = Path("/run/share")
_TURNS = "/run/turns"
#: Seconds between two lines of progress.
_PAUSE = 1.0
#: An emulated machine is so many times slower than the system tests expect.
_PATIENCE = 8


class _Process:
    """A command whose output is read as it comes, and kept."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        #: Has it not done anything yet? The first line that it writes is a title.
        self.loads = True
        self._rest = b""
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self.stdout = self._process.stdout

    def read(self) -> bool:
        """Take what it has written; False when that was the last of it."""
        data = os.read(self.stdout.fileno(), 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += [line.decode("utf-8", "replace") for line in lines]
        self.loads = self.loads and bool(data) and len(self.lines) < 2
        if data:
            return True
        self._process.wait()
        return False


def main(parts: Sequence[str]) -> int:
    """Do what is named, back-ends or `tests`; the host judges what is found."""
    # One daemon loads at a time: a back-end that this kernel lacks is the last to say so.
    release = os.uname().release
    names = sorted(parts, key=lambda name: name in BACKENDS and not expected(name, release))
    starts: dict[str, Callable[[], _Process]] = {
        name: functools.partial(_matrix, name) if name in BACKENDS else _tests for name in names
    }
    _run(starts)
    return 0


def _matrix(backend: str) -> _Process:
    options = {
        "--backend": backend,
        "--generator": f"{SHARE}/generator",
        "--json": f"{SHARE}/{backend}.json",
        "--beside": _TURNS,
    }
    words = [word for pair in options.items() for word in pair]
    return _Process([sys.executable, "-m", "tests.accuracy", *words], dict(os.environ))


def _tests() -> _Process:
    environment = {
        **os.environ,
        "NETIO_TEST_BACKENDS": "auto",
        "NETIO_TEST_PATIENCE": f"{_PATIENCE}",
        "NETIO_TEST_SHARED": "yes",
    }
    # What takes all CPUs for itself waits until the tests are done.
    command = ["flock", "--shared", "--close", _TURNS, sys.executable, "-m", "pytest", "-v"]
    command += ["-p", "no:cacheprovider", "--junitxml", f"{SHARE}/tests.xml", *TESTS]
    return _Process(command, environment)


def _far(process: _Process) -> str:
    """How far one is: operations, or tests in percent."""
    found = (re.search(r"\[ *(\d+%)\]$", line) for line in reversed(process.lines))
    return next((match[1] for match in found if match), f"{len(process.lines)}")


def _run(starts: dict[str, Callable[[], _Process]]) -> None:
    """Start processes and read from them until all end; say how far they are meanwhile.

    While one loads its daemon it takes all there is; after that it waits half of the time, and the
    next may start. Of one that leaves no results the last lines are kept.
    """
    waiting = dict(starts)
    processes: dict[str, _Process] = {}
    said = 0.0
    # Nobody has a turn alone before all have begun.
    turns = Turns(Path(_TURNS))
    turns.join()
    with selectors.DefaultSelector() as selector:
        while waiting or selector.get_map():
            while waiting and not any(each.loads for each in processes.values()):
                name = next(iter(waiting))
                process = processes[name] = waiting.pop(name)()
                selector.register(process.stdout, selectors.EVENT_READ, process)
            for key, _ in selector.select(_PAUSE):
                if not key.data.read():
                    selector.unregister(key.fileobj)
            if not waiting and not any(each.loads for each in processes.values()):
                turns.leave()
            if time.monotonic() - said > _PAUSE:
                said = time.monotonic()
                parts = (f"{name} {_far(process)}" for name, process in processes.items())
                print(f"{PROGRESS}{', '.join(parts)}", flush=True)
    for name, process in processes.items():
        if not any((SHARE / f"{name}.{kind}").exists() for kind in ("json", "xml")):
            (SHARE / f"{name}.log").write_text("\n".join(process.lines[-20:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
