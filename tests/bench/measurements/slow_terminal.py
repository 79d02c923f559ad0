"""Whether people whose terminal is slow see the present or the past."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import termios
import time
from collections.abc import Iterator

from tests.bench.context import Context
from tests.bench.results import Result, at_most

#: Events a second; bytes a second that the terminal takes, and seconds between two of its reads.
_RATE, _SPEED, _EVERY = 50_000, 20_000, 0.01
#: Seconds that do not count, and seconds that do, at least.
_LEAD, _SECONDS = 1.0, 5.0
#: Rows and columns.
_SIZE = (24, 80)

HOW = f"""\
A process makes {_RATE:,} events a second, watched by `netioctl watch --wide` on a pseudo-terminal
of which only {_SPEED:,} bytes a second are read, as over a slow line. The age of the screen is the
time of day less the time on the newest event line that was read; it is taken {1 / _EVERY:.0f} times
a second. The worst age in {_SECONDS:.0f} seconds or more, after the first second. `--wide` is there
because its lines have microseconds."""

#: An event's line as `watch --wide` draws it.
_EVENT = re.compile(rb"^(\d\d):(\d\d):(\d\d\.\d{6}) +(?:SEND|RECV) ", re.M)
#: All time zones differ from UTC by a multiple of so many seconds.
_QUARTER = 900.0
#: Of that, seconds by which a line may seem to come from the future: clocks are not read at once.
_FUTURE = 10.0


def take(context: Context) -> list[Result]:
    """Seconds: the worst age of what is on the screen."""
    worst, shown = [], []
    lasts = _LEAD + max(_SECONDS, context.long)
    with context.udp_pairs() as workload, context.daemon() as daemon:
        for _ in context.repeat():
            with (
                _terminal() as (ours, theirs),
                daemon.viewer("--wide", workload.pid, stdout=theirs),
                # Before the viewer is told to end: it may wait for room to write.
                contextlib.closing(_Screen(ours)) as screen,
            ):
                workload.begin(lasts, _RATE)
                worst.append(screen.watch(lasts))
                shown.append(screen.lines)
                workload.finish()
    what = "worst age of the screen on a slow terminal"
    return [Result("slow-terminal", what, "s", tuple(worst), at_most(1.0), {"lines_shown": shown})]


class _Screen:
    """The end of a terminal that is read slowly."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        #: Event lines that were read so far.
        self.lines = 0

    def close(self) -> None:
        """Who writes to the terminal gets EIO from now on."""
        os.close(self._descriptor)

    def watch(self, seconds: float) -> float:
        """The worst age of the newest event, in seconds, but for the first _LEAD."""
        worst, begin = 0.0, time.monotonic()
        # Where nothing is shown, the age grows from here.
        newest = time.time()
        due = begin
        while due < begin + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            data, now = self._read(), time.time()
            if due >= begin + _LEAD:
                # Just before the screen changes, it is as old as it gets.
                worst = max(worst, now - newest)
            if (latest := newest_age(data, now)) is not None:
                newest = max(newest, now - latest)
            due += _EVERY
        return worst

    def _read(self) -> bytes:
        """The lines that have come to their ends."""
        try:
            self._rest += os.read(self._descriptor, int(_SPEED * _EVERY))
        except BlockingIOError:
            return b""
        lines, separator, self._rest = self._rest.rpartition(b"\n")
        self.lines += len(_EVENT.findall(lines))
        return lines + separator


def newest_age(lines: bytes, now: float) -> float | None:
    """Seconds since the newest event in `lines`; None if they have none.

    `now`: seconds since 1970. Lines have the local time of day, so ages are below a quarter of an
    hour.
    """
    times = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in _EVENT.findall(lines)]
    ages = [(now - each + _FUTURE) % _QUARTER - _FUTURE for each in times]
    return min(ages, default=None)


@contextlib.contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: (the end that does not block and is its user's to close, the other)."""
    ours, theirs = os.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", *_SIZE, 0, 0))
        os.set_blocking(ours, False)
        yield ours, theirs
    finally:
        os.close(theirs)
