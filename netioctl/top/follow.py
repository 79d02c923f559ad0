"""Brings together what a session tells and what is sampled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from netioctl.top.model import Model
from netioctl.top.notes import Notes
from netioctl.top.sample import Sample
from netioctl.watching import Began, Gone
from netioctl.wire.errors import DaemonUnreachable, NetioError, RequestError


class Follow:
    """Keeps a model and notes up to date."""

    def __init__(
        self,
        model: Model,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: that of the samples, in seconds; `wall`: the same in epoch seconds."""
        self.clock, self.wall = clock, wall
        self.model, self.notes = model, Notes()
        #: A process was taken from us.
        self.failed = False
        #: Since when nothing could be read (monotonic seconds), and why; None: it can.
        self.silent: tuple[float, NetioError] | None = None

    def items(self, items: Sequence[Any]) -> bool:
        """Take in what a session has read; whether that was anything."""
        now = self.clock()
        for item in items:
            if isinstance(item, Began):
                self.model.began(item.process, item.parent)
            elif isinstance(item, Gone):
                self.model.gone(item.process, now)
                self.failed |= item.reason is not None
        self.notes.take(items, now)
        return bool(items)

    def samples(self, samples: Iterable[Sample | NetioError]) -> bool:
        """Take in what was read of the counters; whether that was anything.

        Raises:
            NetioError: it never will be. Whether a daemon that is away comes back, the session
                knows better.
        """
        some = False
        for sample in samples:
            some = True
            if isinstance(sample, Sample):
                self._take(sample)
            elif isinstance(sample, (DaemonUnreachable, RequestError)):
                now = time.monotonic()
                self.silent = self.silent or (now, sample)
                self.notes.say(str(sample).splitlines()[0], now)
            else:
                raise sample
        return some

    def _take(self, sample: Sample) -> None:
        self.silent = None
        before = self.model.anew
        self.model.take(sample)
        if self.model.anew > before:
            self.notes.say("counters began anew: totals lack what was before", self.clock())
