"""A rival that does not start, or does not last, is skipped: the benchmark does not fail."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.bench.context import Context
from tests.bench.running import BenchError, Unavailable
from tests.bench.watcher import Condition, Watcher

_TELLING = re.compile(r"error|unable|cannot|can't|could ?n[o']t|fail|fatal|no such|denied", re.I)
_MOST = 120


def attempted(condition: Condition) -> Condition:
    """The same, but whatever goes wrong with it is Unavailable. What goes wrong with the workload
    meanwhile stays what it is."""

    @contextlib.contextmanager
    def apply(context: Context, pid: int) -> Iterator[Watcher]:
        with contextlib.ExitStack() as stack:
            try:
                watcher = stack.enter_context(condition.apply(context, pid))
            except Unavailable:
                raise
            except (BenchError, OSError) as error:
                raise Unavailable(str(error)) from error
            try:
                yield watcher
            except BenchError:
                if all(map(_lives, watcher.pids)):
                    raise
            if not all(map(_lives, watcher.pids)):
                raise Unavailable("it ended while it was to watch")

    return condition._replace(apply=apply)


def reason(text: str) -> str:
    """Why a tool does not run, from what it printed: the first line that tells, or the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "it ended without a word"
    line = next(filter(_TELLING.search, lines), lines[-1])
    return line if len(line) <= _MOST else line[: _MOST - 3] + "..."


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # The name, in parentheses, may hold anything; the state comes after it.
    return stat.rpartition(")")[2].split()[0] not in "ZX"
