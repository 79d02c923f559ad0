"""Completion in real shells: their own files, as an ordinary user who runs a few processes."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from netioctl import completion
from netioctl.commands import COMMANDS

TOP = Path(__file__).parents[2]
#: A user that owns nothing else; nobody else's processes may be offered.
USER = 54323
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to run as another user")
#: Neither may be anything to a shell but a name.
NAMES = ("ng,in x", "e\x1b[31m$(id)")


def as_user() -> list[str]:
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory for all to read, with `netioctl` and the scripts."""
    # Another pytest that starts meanwhile closes the directory above its and our tmp_path.
    place = Path(tempfile.mkdtemp(prefix="netio-"))
    place.chmod(0o755)
    launcher = place / "netioctl"
    start = f"import sys; sys.path.insert(0, {str(TOP)!r}); from netioctl.main import main"
    launcher.write_text(
        f'#!/bin/sh\nexec {sys.executable} -BIc {shlex.quote(start + "; sys.exit(main())")} "$@"\n'
    )
    launcher.chmod(0o755)
    for shell, name in (("bash", "bash"), ("zsh", "_netioctl"), ("fish", "fish")):
        script = subprocess.check_output([launcher, "completion", shell], text=True)
        (place / name).write_text(script)
    (place / "home").mkdir()
    os.chown(place / "home", USER, USER)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, str]]:
    """Two processes of the user: PID to how its name has to look."""
    shown = ("ng,in x", "e\\x1b[31m$(id)")
    with contextlib.ExitStack() as stack:
        found = {}
        for name, looks in zip(NAMES, shown):
            code = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
            process = stack.enter_context(
                subprocess.Popen(
                    [*as_user(), sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            found[str(process.pid)] = looks
        yield found


def ask(place: Path, *command: str) -> str:
    done = subprocess.run(
        [*as_user(), *command],
        cwd=place,
        env={"PATH": f"{place}:/usr/bin:/bin", "HOME": str(place / "home"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def bash(place: Path, line: str) -> list[str]:
    words = line.split(" ")
    script = (
        f"source {shlex.quote(str(place / 'bash'))}; "
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
        "COMP_TYPE=9; _netioctl_completion netioctl; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    return ask(place, "bash", "-c", script).splitlines()


def fish(place: Path, line: str) -> list[str]:
    script = f"source {shlex.quote(str(place / 'fish'))}; complete -C {shlex.quote(line)}"
    return ask(place, "fish", "-c", script).splitlines()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_what_is_offered(place: Path, running: dict[str, str], shell: str) -> None:
    needs(shell)
    offered = {"bash": bash, "fish": fish}[shell]
    assert {line.split("\t")[0] for line in offered(place, "netioctl ")} == set(COMMANDS)
    assert [line.split("\t")[0] for line in offered(place, "netioctl watch --summary-o")] == [
        "--summary-only"
    ]
    between = {"bash": "  ({})", "fish": "\t{}"}[shell]
    rows = offered(place, "netioctl watch ")
    assert set(rows) >= {pid + between.format(name) for pid, name in running.items()}
    pids = {re.split(r"\s", row)[0] for row in rows}
    assert all(pid.isdecimal() for pid in pids)
    assert str(os.getpid()) not in pids
    # One alone goes into the line, so it has no name beside it in bash.
    (pid, name), *_ = running.items()
    assert offered(place, f"netioctl add {pid}") == [
        pid if shell == "bash" else pid + between.format(name)
    ]


class Terminal:
    """An interactive zsh as the user."""

    def __init__(self, place: Path) -> None:
        environment = {
            "PATH": f"{place}:/usr/bin:/bin",
            "HOME": str(place / "home"),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
        }
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            os.execve("/usr/bin/setpriv", [*as_user(), "zsh", "-f", "-i"], environment)
        self.seen = ""

    def type(self, text: str, until: Callable[[str], object]) -> str:
        """What comes after `text` was typed, until that is so."""
        self.seen = ""
        os.write(self.fd, text.encode())
        deadline = time.monotonic() + 20
        # Without what moves the cursor and makes letters bold.
        while not until(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen)):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                pytest.fail(f"zsh has only shown {self.seen!r}")
            self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen)

    def end(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_zsh_completes_at_the_first_tab_and_at_the_second(
    place: Path, running: dict[str, str]
) -> None:
    needs("zsh")
    terminal = Terminal(place)
    try:
        start = f"fpath=({shlex.quote(str(place))} $fpath); autoload -U compinit; compinit -u -D"
        start += "; setopt nolistambiguous; PS1='> '; print re''ady\n"
        terminal.type(start, lambda seen: "\nready" in seen)
        terminal.type("netioctl summ\t", lambda seen: "summary " in seen)
        pids = list(running)
        seen = terminal.type("\x15netioctl watch \t", lambda seen: all(pid in seen for pid in pids))
        for pid, name in running.items():
            assert re.search(rf"{pid}\s+-- {re.escape(name)}", seen), seen
        assert "\x1b[31m" not in terminal.seen
    finally:
        terminal.end()


def test_other_values() -> None:
    context, option = click.Context(click.Command("watch")), click.Option(["--name"])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        comm = Path(f"/proc/{process.pid}/comm")
        deadline = time.monotonic() + 10
        while not comm.read_text().startswith("python") and time.monotonic() < deadline:
            time.sleep(0.01)
        names = completion.names(context, option, "python")
    assert comm.name == "comm"
    assert [item.help for item in names if item.value.startswith("python3")]
    assert [item.value for item in completion.users(context, option, "roo")] == ["root"]
    assert all(
        item.value.endswith((".service", ".scope"))
        for item in completion.units(context, option, "")
    )
