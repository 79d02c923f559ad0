"""The totals of just one watch, from what the daemon says at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Sequence

from netioctl import stats
from netioctl.answers import Process, Summary, Totals


class Tally:
    """Keeps what has to be subtracted at the end, and the last words of what exited meanwhile."""

    def __init__(self) -> None:
        self._base: Summary | None = None
        self._final: list[Summary] = []
        self._missed_before = self._missed = 0

    def begin(self, missed: int, earlier: Summary | None) -> None:
        """The watch begins.

        `missed` operations had escaped by then; `earlier` is what had been counted of processes
        that were attached before.
        """
        self._missed_before = self._missed = missed
        self._base = earlier

    def missed(self, so_far: int) -> int:
        """How many more operations have escaped than was known."""
        more = max(0, so_far - self._missed)
        self._missed += more
        return more

    def exited(self, last: Summary) -> None:
        """A process is watched no longer; `last` is all that was counted of it."""
        self._final.append(last)

    def result(self, living: Summary | None, watched: Sequence[Process]) -> Summary:
        """What was counted during the watch of `watched`; `living` is about those not gone."""
        whole = stats.combine([*self._final, *([] if living is None else [living])])
        # The counters of what this watch attached itself began at zero.
        base = self._base or Summary(Totals(), (), (), (), True, whole.since, whole.since)
        result = stats.subtract(whole, base._replace(missed=self._missed_before))
        since = [process.since for process in watched if process.fresh]
        return result._replace(
            since=min([result.since, *since]),
            # What cannot be told any more is missing.
            complete=result.complete and not whole.errors,
        )
