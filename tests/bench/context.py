"""What every measurement is given: how often, how long, where, and whom to tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from tests.bench.daemon import Daemon, private_daemon
from tests.bench.results import Skipped
from tests.bench.udp_many import UdpMany, udp_many
from tests.bench.workload import UdpPairs, udp_pairs

T = TypeVar("T")
#: Seconds between a change and a measurement, so that what was ended is no longer running.
SETTLE = 0.2


class Progress:
    """A line on stderr that says what goes on, where stderr is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._title = ""

    def begin(self, title: str) -> None:
        """Another measurement begins."""
        self._title = title
        self.say("")

    def say(self, text: str) -> None:
        """Show `text` behind the title."""
        if self._shown:
            minutes, seconds = divmod(round(time.monotonic() - self._begin), 60)
            line = f"{minutes}:{seconds:02} {self._title} {text}"
            print(f"\r{line[:79]}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Context:
    """`repetitions` of everything; `seconds`: length of one run; `scratch`: a directory."""

    def __init__(self, repetitions: int, seconds: float, scratch: Path, progress: Progress) -> None:
        self.repetitions, self.seconds = repetitions, seconds
        #: Length of runs in which something may pile up.
        self.long = 5 * seconds
        self.skipped: list[Skipped] = []
        self.scratch, self.progress = scratch, progress

    def repeat(self, least: int = 1) -> Iterator[int]:
        """0, 1, ... for each repetition, at least `least` of them; tells the progress."""
        count = max(least, self.repetitions)
        for number in range(count):
            self.progress.say(f"{number + 1} of {count}")
            yield number

    def skip(self, name: str, what: str, why: str) -> None:
        """Note what this machine cannot measure: that is no failure."""
        self.skipped.append(Skipped(name, what, why))

    def daemon(self, *options: str) -> AbstractContextManager[Daemon]:
        """A netiod of our own that is ready, with options."""
        return private_daemon(self.scratch, *options)

    def udp_pairs(self) -> AbstractContextManager[UdpPairs]:
        """The worst case of a workload."""
        return udp_pairs(self.scratch)

    def udp_many(self, processes: int, pairs: int) -> AbstractContextManager[UdpMany]:
        """The same traffic by so many processes, with so many pairs of sockets each."""
        return udp_many(self.scratch, processes, pairs)


def rotated(items: Iterable[T], by: int) -> list[T]:
    """The items, beginning elsewhere: so that none always comes after the same other."""
    items = list(items)
    by %= len(items)
    return items[by:] + items[:by]
