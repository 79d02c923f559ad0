"""OPERATIONS.md says what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from netioctl.wire import control
from netiod import audit, exited, gate, gates, limits, settings

TOP = Path(__file__).resolve().parents[2]
TEXT = (TOP / "docs" / "OPERATIONS.md").read_text()
MAX_PIDS = settings.Settings().max_pids


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("connections of one user", [limits.CONNECTIONS_A_UID]),
        ("connections of all", [limits.CONNECTIONS, limits.RESERVED]),
        ("requests a second", [int(limits.REQUESTS_A_SECOND), int(limits.REQUESTS_AT_ONCE)]),
        ("processes held", [MAX_PIDS // limits.HELD_SHARE, limits.HELD_LEAST]),
        ("processes of all", [MAX_PIDS]),
        ("totals kept after exits", [int(exited.KEEP_EXITED // 60)]),
        ("rows of `summary`", [limits.ROWS_A_UID]),
        ("a request", [control.MAX_LINE, control.MAX_PIDS_A_REQUEST]),
        ("users with a stream", [gates.MAX_GATES]),
        ("a gate", [gate.MEMORY_LIMIT >> 20, gate.VIEWERS_LIMIT]),
        ("audit records", [audit.REFUSED_BURST, audit.DONE_BURST, int(audit.DONE_RATE)]),
    ],
)
def test_limits(row: str, numbers: list[int]) -> None:
    (line,) = re.findall(rf"^\| {re.escape(row)}.*", TEXT, re.M)
    for number in numbers:
        assert f"{number:,}" in line


def constants(path: str) -> list[ast.Call]:
    return [n for n in ast.walk(ast.parse((TOP / path).read_text())) if isinstance(n, ast.Call)]


def test_actions_and_limits_of_the_audit_trail() -> None:
    named: set[str] = set()
    for path in sorted((TOP / "netiod").glob("*.py")):
        for call in constants(str(path.relative_to(TOP))):
            function = ast.unparse(call.func)
            at = {"self._audit.limit": 1, "broker.audit.limit": 1, "self._refuse": 2}.get(function)
            for where in (at, 0 if function == "self._write" else None):
                if where is not None and isinstance(call.args[where], ast.Constant):
                    named.add(str(ast.literal_eval(call.args[where])))
    assert {"attach", "refused", "held", "connections", "gates"} <= named
    for name in named:
        assert f"`{name}`" in TEXT


def test_every_warning_and_error_has_its_row() -> None:
    """By the longest part of it that is always the same."""
    missing = []
    known = re.sub(r"[`*]", "", TEXT)
    for path in sorted((TOP / "netiod").glob("*.py")):
        for call in constants(str(path.relative_to(TOP))):
            if ast.unparse(call.func) not in ("_LOG.warning", "_LOG.error", "_LOG.exception"):
                continue
            text = ast.literal_eval(call.args[0])
            parts = re.split(r"%[-\w.]*[sdf]", text)
            longest = max(parts, key=len).strip(" :;")
            first = re.split("[:;,] ", longest)[0]
            if len(first) > 4 and first not in known and longest not in known:
                missing.append(text)
    assert missing == []
