"""Samples of a recording, as Sampler has them of the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netioctl.recording.stepped import Stepped
from netioctl.top.sample import Connections, Sample
from netioctl.wire.errors import NetioError

if TYPE_CHECKING:
    from types import TracebackType


class Recorded:
    """A sample after each interval that `replay` has read."""

    def __init__(self, replay: Stepped) -> None:
        self._replay = replay
        # The first is from before anything moved.
        self._samples: list[Sample | NetioError] = [self._sample()]
        self._taken = replay.steps

    def __enter__(self) -> Recorded:
        # Never readable: it is the replay's clock that tells when there is something.
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """As Sampler has it."""
        return self._reader

    def want(self, pids: frozenset[int]) -> None:
        """Connections are there anyway."""

    def take(self) -> list[Sample | NetioError]:
        """What has been read since the last call."""
        if self._replay.steps != self._taken:
            self._taken = self._replay.steps
            self._samples.append(self._sample())
        taken, self._samples = self._samples, []
        return taken

    def _sample(self) -> Sample:
        replay = self._replay
        now, rows = replay.clock(), replay.rows()
        connections = Connections(now, rows, frozenset(rows))
        return Sample(now, replay.time_ns() / 1e9, replay.held(), connections)
