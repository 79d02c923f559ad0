"""How the time of an event is written."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

#: As --time names them.
FORMS = ("local", "utc", "relative", "epoch")


class Clock(NamedTuple):
    """Times in one of FORMS; `relative` counts from `began`, nanoseconds since the epoch.

    Renderers subtract `start` from an event's time and look up the rest: `short` where a line
    has little room, `long` and three digits more where it has; `tail` stands behind these.
    """

    form: str = "local"
    began: int = 0
    #: With its date.
    dated: bool = False

    @property
    def start(self) -> int:
        """Nanoseconds since the epoch at which this clock shows zero."""
        return self.began if self.form == "relative" else 0

    @property
    def unit(self) -> int:
        """Nanoseconds that `short` tells apart."""
        return 1_000_000_000 if self.form in ("local", "utc") else 1_000_000

    @property
    def width(self) -> int:
        """Columns of `short`."""
        return len(self.short(0)) if self.form != "epoch" else len("1732384245.123")

    @property
    def long_width(self) -> int:
        """Columns of `long`, three digits and `tail`."""
        if self.form == "epoch":
            return len("1732384245.123456")
        return len(self.long(0)) + 3 + len(self.tail)

    @property
    def tail(self) -> str:
        """What ends a time that is written in full."""
        return "Z" if self.dated and self.form == "utc" else ""

    def short(self, units: int) -> str:
        """`22:30:45` of so many `unit`; `12.345` or `1732384245.123` where it tells them apart."""
        if self.form in ("local", "utc"):
            return _second(units, self.form, self.dated)
        return f"{units / 1000:>8.3f}" if self.form == "relative" else f"{units / 1000:.3f}"

    def long(self, milliseconds: int) -> str:
        """`22:30:45.123`, to which microseconds can be added."""
        whole, rest = divmod(milliseconds, 1000)
        if self.form in ("local", "utc"):
            return f"{_second(whole, self.form, self.dated)}.{rest:03}"
        if milliseconds < 0:
            # The system's clock was set back: digits cannot be added to a negative number.
            whole = rest = 0
        text = f"{whole}.{rest:03}"
        return text if self.dated or self.form == "epoch" else f"{text:>12}"

    def full(self, nanoseconds: int) -> str:
        """A time since the epoch, with its microseconds."""
        since = nanoseconds - self.start
        return f"{self.long(since // 1_000_000)}{since // 1000 % 1000:03}{self.tail}"


LOCAL = Clock()


@lru_cache(maxsize=64)
def _second(seconds: int, form: str, dated: bool) -> str:
    broken = time.gmtime(seconds) if form == "utc" else time.localtime(seconds)
    if not dated:
        return time.strftime("%H:%M:%S", broken)
    text = time.strftime("%Y-%m-%d %H:%M:%S", broken)
    return text.replace(" ", "T") if form == "utc" else text
