"""Moments of a recording as people write them, for --since and --until."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from netioctl.wire.errors import UsageError

_SECOND = 1_000_000_000
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_HOW = (
    "22:30, 22:30:45.5, 2026-01-31T22:30, @1732384245, +10s (from the beginning) and -5m "
    "(from the end)"
)


def moment(text: str, began: int, until: int) -> int:
    """ns since the epoch; `began` and `until` are those of the recording.

    A time of day is the first one after the beginning, in the local time zone.

    Raises:
        UsageError: `text` is no moment.
    """
    found = _relative(text, began, until)
    if found is None:
        found = _clock(text, began)
    if found is None:
        found = _date(text)
    if found is None:
        raise UsageError(f"not a moment: {text}; {_HOW} are")
    return found


def _relative(text: str, began: int, until: int) -> int | None:
    match = re.fullmatch(r"([+@-])(\d{1,12}(?:\.\d{1,9})?)([a-z]*)", text, re.ASCII)
    if match is None or match[3] not in _UNITS:
        return None
    span = round(float(match[2]) * _UNITS[match[3]] * _SECOND)
    if match[1] == "@":
        return None if match[3] else span
    return began + span if match[1] == "+" else until - span


def _clock(text: str, began: int) -> int | None:
    match = re.fullmatch(r"(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,9})?)?", text, re.ASCII)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    day = datetime.fromtimestamp(began // _SECOND, timezone.utc).astimezone()
    at = day.replace(hour=hour, minute=minute, second=second, microsecond=0)
    # To the precision in which it was written: 22:30 is not before a beginning at 22:30:05.
    length = 60 if match[3] is None else 1
    if at.timestamp() + length <= began / _SECOND:
        at += timedelta(days=1)
    fraction = round(float(match[4] or 0) * _SECOND)
    return int(at.timestamp()) * _SECOND + fraction


def _date(text: str) -> int | None:
    if re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
        return None
    try:
        # Before Python 3.11 a Z is not understood.
        at = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text))
        seconds = at.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return round(seconds * 1_000_000) * 1000
