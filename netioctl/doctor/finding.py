"""What a check finds."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Result(Enum):
    """How bad it is."""

    OK = "ok"
    #: netio works, but not in every respect.
    WARN = "warn"
    FAIL = "fail"
    #: Could not be looked at without root.
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One thing that was looked at; `remedy` says what to do where it is not well."""

    check: str
    result: Result
    text: str
    remedy: str | None = None


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Result.OK, text)


def warn(check: str, text: str, remedy: str | None = None) -> Finding:
    """Something is less than it could be."""
    return Finding(check, Result.WARN, text, remedy)


def fail(check: str, text: str, remedy: str | None = None) -> Finding:
    """Something has to be done."""
    return Finding(check, Result.FAIL, text, remedy)
