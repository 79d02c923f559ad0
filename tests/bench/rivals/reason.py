"""Why a tool does not run, from what it printed."""

from __future__ import annotations

import re

_TELLING = re.compile(r"error|unable|cannot|can't|could ?n[o']t|fail|fatal|no such|denied", re.I)
_MOST = 160


def reason(text: str) -> str:
    """The first line that tells, or else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "it ended without a word"
    line = next(filter(_TELLING.search, lines), lines[-1])
    return line if len(line) <= _MOST else line[: _MOST - 3] + "..."
