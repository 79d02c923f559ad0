"""Every example of --help, of the manual pages, which have the same, and of README is run: at a
terminal, with the real daemon and a process that has traffic."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pty
import re
import select
import shlex
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

from netioctl import Client
from netioctl.commands import COMMANDS
from netioctl.main import cli
from netiod.main import parser
from tests.system.conftest import PATIENCE, TOP, Daemon, open_to_all, wait_until

README = (TOP / "README.md").read_text()
#: `nginx`, as pgrep finds it: an HTTP server that also talks to itself all the time.
SERVER = """
import functools, http.server, socket, threading, time
open("/proc/self/comm", "w").write("nginx")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(5000))
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
a, b = socket.socketpair()
while True:
    a.sendmsg([b"x" * 64])
    b.recv(64)
    time.sleep(0.02)
"""
#: Keys end what would go on: Enter chooses in `pick`, q ends `top` on a screen, Ctrl+C the rest.
#: What ends by itself is not interrupted.
_KEYS = {
    r" pick\b": [b" \r", b"\x03"],
    r" top\b(?!.*--(json|once))": [b"q", b"\x03"],
    r"netioctl (add|remove|summary|list|status|doctor|completion|report|run)\b|^curl": [],
    "": [b"\x03"],
}
#: What needs, or changes, what others leave behind: files, what is added, a port; what has a moment
#: of its own; and `pick`, which takes whoever moves most.
_ORDERED = re.compile(r"\b(add|remove|summary|list|record|report|exporter|pick)\b|--from|sleep")
#: Others are run so many at a time: they wait most of the time.
_AT_ONCE = 4


def of_help(verb: str | None) -> list[str]:
    """The lines of Examples, without what is said beside them."""
    with click.Context(cli, info_name="netioctl") as context:
        command = cli.get_command(context, verb) if verb else cli
    assert command is not None
    return _listed((command.help or "").partition("Examples:\n")[2])


def of_netiod() -> list[str]:
    return _listed((parser().description or "").partition("examples:\n")[2])


def _listed(block: str) -> list[str]:
    lines = block.split("\n\n")[0].splitlines()
    assert lines
    return [re.split(r"\s{3,}", line.strip())[0] for line in lines if line.strip()]


def of_readme() -> list[str]:
    """What README has one type that calls netioctl, commands of several lines joined."""
    blocks = re.sub(r"\\\n\s*", "", README)
    lines = [line.strip() for line in re.findall(r"^ {4,}(.*)", blocks, re.M)]
    commands = [line[2:] if line.startswith("$ ") else line for line in lines]
    typed = re.compile(r"(sudo )?netioctl [a-z]+\b|\(sleep 1; exec curl .*netioctl ")
    return [line.split("  #")[0] for line in commands if typed.match(line)]


class Place:
    """A user's home and PATH, a daemon, and the process that stands for all that are named."""

    def __init__(self, directory: Path, daemon: Daemon, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.directory, self.daemon, self.pid = directory, daemon, process.pid
        #: What has been checked; README and help have much in common.
        self._checked: set[str] = set()
        self.port = int(process.stdout.readline())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.free = free.getsockname()[1]
        binaries = directory / "bin"
        binaries.mkdir()
        self._program(binaries / "sudo", 'exec "$@"')
        for name in ("netiod", "netioctl"):
            start = f"import sys; sys.path.insert(0, {str(TOP)!r}); from {name}.main import main"
            code = shlex.quote(f"{start}; sys.exit(main())")
            self._program(binaries / name, f'exec {sys.executable} -Bc {code} "$@"')
        (directory / ".config" / "fish" / "completions").mkdir(parents=True)
        self.environment = {
            **daemon.environment,
            "PATH": f"{binaries}:{daemon.environment['PATH']}",
            "HOME": str(directory),
            "TERM": "xterm",
            "NETIO_RUN_DIR": str(daemon.run_dir),
            "server": str(self.pid),
        }

    def _program(self, path: Path, line: str) -> None:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def fill(self, example: str) -> str:
        """The example with what is true here for what stands for something."""
        text = re.sub(r"\b1234\b", str(self.pid), example)
        text = re.sub(r"pgrep (-\w+ )*\w+", f"pgrep -P {os.getpid()} nginx", text)
        text = re.sub(r"127\.0\.0\.1:80[08]0\b", f"127.0.0.1:{self.port}", text)
        text = text.replace("sleep 60", "sleep 0.1").replace(":19099", f":{self.free}")
        text = text.replace("/tmp/netio", str(self.directory / "second"))
        if re.match(r"netioctl exporter\b", text) and "--otlp" not in text:
            text += f" --listen 127.0.0.1:{self.free}"
        if made := re.search(r" record -o (\S+)", text):
            # It replaces nothing, and README and help name the same file several times.
            text = f"rm -f {made[1]}*; {text}"
        return text

    def run(self, example: str, run_dir: Path | None = None) -> tuple[int, str]:
        """(exit status, what the terminal saw); ended as soon as it has shown something."""
        keys = next(keys for text, keys in _KEYS.items() if re.search(text, example))
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        environment = dict(self.environment)
        if run_dir is not None:
            environment["NETIO_RUN_DIR"] = str(run_dir)
        with subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-c", self.fill(example)],
            cwd=self.directory,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            seen, pressed, due = b"", 0, 0.0
            deadline = time.monotonic() + 30 * PATIENCE
            while True:
                ready, _, _ = select.select([ours], [], [], 0.1)
                if ready:
                    try:
                        seen += os.read(ours, 65536)
                    except OSError:  # EIO: nobody has the terminal open any more
                        break
                now = time.monotonic()
                if now > deadline:
                    process.kill()
                    pytest.fail(f"{example} does not end: {seen[-500:]!r}")
                # Once it has had its say, and again where that came before it listened.
                if keys and seen and now >= due:
                    if due:
                        os.write(ours, keys[min(pressed, len(keys) - 1)])
                        pressed += 1
                    due = now + (1.0 if pressed else 0.3) * PATIENCE
            os.close(ours)
            status = process.wait()
        return status, seen.decode("utf-8", "replace").replace("\r\n", "\n")

    def check(self, example: str, run_dir: Path | None = None) -> str:
        """run(), and nobody complained; what the terminal saw."""
        status, seen = self.run(example, run_dir)
        # Ctrl+C also ends whom the output was piped to, and a replay, which is then not complete;
        # that may be just when it ends by itself.
        allowed = {0, 130, -2} if "|" in example or "--from" in example else {0}
        complaints = re.findall(r"(?m)^(?:netiod|netioctl|bash|jq|curl): .*|Traceback.*", seen)
        complaints = [
            line for line in complaints if not re.match(r"netiod: netiod |netiod: hook ", line)
        ]
        assert status in allowed, (example, status, seen[-500:])
        assert not complaints, (example, complaints[:3])
        return seen

    def check_all(self, examples: Sequence[str]) -> None:
        """Those that have not been checked yet."""
        same = {re.sub(r"^sudo ", "", e).replace("$server", "1234"): e for e in reversed(examples)}
        new = [example for key, example in reversed(same.items()) if key not in self._checked]
        self._checked |= same.keys()
        free = [example for example in new if not _ORDERED.search(example)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self.check, free):
                pass
        for example in new:
            if example not in free:
                if re.search(r"netioctl (remove|summary) ", example):
                    with Client(self.daemon.run_dir) as client:
                        client.add([self.pid])
                self.check(example)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = open_to_all(tmp_path_factory.mktemp("examples"))
    with contextlib.ExitStack() as stack:
        daemon = Daemon(directory / "run")
        stack.callback(daemon.kill)
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.kill)
        place = Place(directory, daemon, process)
        # What other examples read.
        place.check("netioctl record -o web.netio 1234")
        yield place
        assert daemon.defects == ""


@pytest.mark.parametrize("verb", [None, "record", *(verb for verb in COMMANDS if verb != "record")])
def test_examples_of_help(place: Place, verb: str | None) -> None:
    plain = []
    for example in of_help(verb):
        if "--otlp" in example and importlib.util.find_spec("opentelemetry") is None:
            status, seen = place.run(example)
            assert (status, "pip install" in seen) == (1, True)
        elif example.startswith("curl "):
            with _exporter(place):
                assert "netio_up 1" in place.check(example)
        else:
            plain.append(example)
    place.check_all(plain)


@contextlib.contextmanager
def _exporter(place: Place) -> Iterator[None]:
    command = ["bash", "-c", "exec " + place.fill("netioctl exporter")]
    with subprocess.Popen(
        command, env=place.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", place.free)) == 0

        wait_until(listens, 20, "the exporter listens")
        yield
        process.terminate()


def test_examples_of_netiod(place: Place) -> None:
    examples = of_netiod()
    assert len(examples) > 2
    for at, example in enumerate(examples):
        if "systemctl" in example:
            assert (TOP / "systemd" / "netiod.service").exists()
        else:
            place.check(example, place.directory / f"run{at}")


def test_examples_of_readme(place: Place) -> None:
    examples = of_readme()
    assert len(examples) > 15
    place.check_all(examples)
