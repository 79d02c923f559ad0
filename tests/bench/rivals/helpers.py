"""Conditions that are BCC programs of our own, each in a process of its own for a short time.

BCC brings a compiler into the process that imports it, so the benchmark itself never does.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.context import Context
from tests.bench.rivals.attempt import reason
from tests.bench.running import Unavailable, running
from tests.bench.watcher import Condition, Seen, Watcher

#: For which the distribution's BCC is.
_PYTHON = "/usr/bin/python3"


@contextlib.contextmanager
def _helper(
    context: Context, pid: int, module: str, what: str, takes_pid: bool = False
) -> Iterator[Watcher]:
    command = [_PYTHON, "-m", f"tests.bench.rivals.{module}", what, *[str(pid)] * takes_pid]
    log = context.scratch / "helper.log"
    with (
        log.open("wb") as errors,
        running(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        # It says so once its programs are attached.
        _line(process, log)
        yield Watcher((process.pid,), lambda: _ask(process, log))


def _ask(process: subprocess.Popen[str], log: Path) -> Seen:
    assert process.stdin is not None
    process.stdin.write("seen\n")
    process.stdin.flush()
    return Seen(**json.loads(_line(process, log)))


def _line(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    line: Any = process.stdout.readline()
    if not line:
        raise Unavailable(reason(log.read_text(errors="replace")))
    return str(line)


def _condition(name: str, what: str, *arguments: Any) -> Condition:
    return Condition(name, what, lambda context, pid: _helper(context, pid, *arguments))


FLOOR = (
    _condition("empty", "empty hooks (the floor)", "floor", "empty"),
    _condition("bare", "bare hooks: an event of 32 bytes, taken in bulk", "floor", "bare"),
)
SCRIPTS = (
    _condition("bcc-ring", "a BCC script that prints, ring buffer", "script", "ring", True),
    _condition("bcc-perf", "a BCC script that prints, perf buffer", "script", "perf", True),
)
