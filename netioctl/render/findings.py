"""What a doctor found, as text and as JSON."""

from __future__ import annotations

import json
import textwrap

from netioctl.doctor.finding import Finding, Result
from netioctl.render.words import printable

_WIDTH = 80
_MARKS = {Result.OK: "ok", Result.WARN: "warn", Result.FAIL: "FAIL", Result.UNKNOWN: "?"}
#: Before the text: the mark and the name of the check.
_INDENT = 5 + 20


def text(finding: Finding, width: int | None) -> str:
    """`ok   BTF    /sys/kernel/btf/vmlinux`, wrapped, with what to do below it."""
    columns = _WIDTH if width is None else max(2 * _INDENT, min(width, _WIDTH))
    head = f"{_MARKS[finding.result]:<5}{finding.check:<19} "
    lines = _wrapped(head, finding.text, columns)
    if finding.remedy:
        lines += _wrapped(" " * _INDENT + "-> ", finding.remedy, columns)
    return "\n".join(lines) + "\n"


def _wrapped(head: str, words: str, columns: int) -> list[str]:
    # Long words are paths and commands, which are to be copied.
    return textwrap.wrap(
        printable(words),
        columns,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(finding: Finding) -> str:
    """A line with `type`, `check`, `result`, `text`, and `remedy` or null."""
    value = {"type": "check", **finding._asdict(), "result": finding.result.value}
    return json.dumps(value) + "\n"


def verdict(failed: int, warned: int, unknown: int) -> str:
    """The last line, for a person."""
    parts = [f"{failed} failed"] if failed else []
    if warned:
        parts.append(f"{warned} warning" + ("" if warned == 1 else "s"))
    said = ", ".join(parts) or "all is well"
    return said + (f"; {unknown} not checked without root: sudo netioctl doctor" if unknown else "")
