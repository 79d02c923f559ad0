"""The totals of just one watch, from what the daemon says at its beginning and at its end."""

from __future__ import annotations

from collections.abc import Sequence

from netioctl import stats
from netioctl.answers import Process, Row, Summary, Totals

_ZERO = Totals()


class Tally:
    """Keeps what has to be subtracted at the end, and the last words of what exited meanwhile."""

    def __init__(self) -> None:
        self._base: Summary | None = None
        self._final: list[Summary] = []
        self._anew = False
        self._missed_before = self._missed = 0

    def begin(self, missed: int, earlier: Summary | None) -> None:
        """The watch begins.

        `missed` operations had escaped by then; `earlier` is what had been counted of processes
        that were attached before.
        """
        self._missed_before = self._missed = missed
        self._base = earlier

    def before(self, pid: int) -> Totals:
        """What had been counted of a process when the watch began."""
        return _ZERO if self._base is None else stats.of(self._base, (pid,)).total

    def joined(self, process: Process, before: Totals) -> None:
        """A process is watched from now on, of which so much had been counted, nobody knows on
        which connections."""
        if before == _ZERO:
            return
        row = Row(process.pid, stats.OTHER, None, None, None, before)
        since = process.since
        base = Summary(before, (row,), (process,), (), True, since, since)
        self._base = base if self._base is None else stats.combine([self._base, base])

    def missed(self, so_far: int) -> int:
        """How many more operations have escaped than was known."""
        more = max(0, so_far - self._missed)
        self._missed += more
        return more

    def exited(self, last: Summary) -> None:
        """A process is watched no longer; `last` is all that was counted of it."""
        self._final.append(last)

    @property
    def escaped(self) -> int:
        """The count of operations that have escaped, as it was told last."""
        return self._missed

    def restarted(self) -> None:
        """Another daemon counts what escapes, from zero."""
        self._missed_before -= self._missed
        self._missed = 0
        self._final = [last._replace(missed=0) for last in self._final]

    def began_anew(self, process: Process, before: Totals | None) -> None:
        """What is counted of `process` began at zero again, or there is nothing any more.

        `before`: what had been counted of it by then; None: nobody knows.
        """
        self._anew = True
        had = _ZERO
        if self._base is not None:
            kept = {each.pid for each in self._base.processes} - {process.pid}
            had = stats.of(self._base, (process.pid,)).total
            self._base = stats.of(self._base, kept)
        if before is not None:
            counted = stats.minus(before, had)
            row = Row(process.pid, stats.OTHER, None, None, None, counted)
            since = process.since
            self._final.append(Summary(counted, (row,), (), (), True, since, since))

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
            complete=result.complete and not whole.errors and not self._anew,
            anew=result.anew or self._anew,
        )
