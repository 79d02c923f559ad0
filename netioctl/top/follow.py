"""Brings together what a session tells and what is sampled."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from netioctl.top.model import Model
from netioctl.top.notes import Notes
from netioctl.top.sample import Sample
from netioctl.watching import Began, Gone
from netioctl.wire.errors import DaemonUnreachable, NetioError


class Follow:
    """Keeps a model and notes up to date."""

    def __init__(self, model: Model) -> None:
        self.model, self.notes = model, Notes()
        #: A process was taken from us.
        self.failed = False

    def items(self, items: Sequence[Any]) -> bool:
        """Take in what a session has read; whether that was anything."""
        now = time.monotonic()
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
            NetioError: it never will be. What has to do with a daemon that is away the session
                knows better.
        """
        some = False
        for sample in samples:
            if isinstance(sample, Sample):
                before = self.model.anew
                self.model.take(sample)
                if self.model.anew > before:
                    text = "counters began anew: totals lack what was before"
                    self.notes.say(text, time.monotonic())
            elif isinstance(sample, DaemonUnreachable):
                self.notes.say(str(sample).splitlines()[0], time.monotonic())
            else:
                raise sample
            some = True
        return some
