"""Sums instead of events, from the kernel's counters: what `watch --interval` shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from netioctl import stats
from netioctl.answers import Totals
from netioctl.output import Output, say
from netioctl.render.intervals import CsvIntervals, Drawer, JsonIntervals, Sums, TextIntervals
from netioctl.screen import Screen, Wish
from netioctl.watching import Began, Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection

    from netioctl.answers import Held, Process
    from netioctl.session import Session

_ZERO = Totals()


class _Key(NamedTuple):
    """Tells a process from others with its PID, and its counters from those before a restart."""

    pid: int
    start: int
    attached: int | None


class Intervals(Screen):
    """Asks for counters every so often, and prints what they have gained.

    All lines of a process add up to its total of this watch: the last one is of a shorter time,
    and one in which netiod was away of a longer. Who exits has a last line at once.
    """

    def __init__(self, session: Session, output: Output, wish: Wish, interval: float) -> None:
        super().__init__(session, output, wish, None)
        self._watch, self._interval = session, interval
        self._draws = _drawer(wish, interval, session.began)
        #: The counters as they were last, and of whom.
        self._counted: dict[_Key, Totals] = {}
        self._seen: set[tuple[int, int]] = set()
        self._gone: set[tuple[int, int]] = set()
        self._before = self._next = 0.0

    @property
    def due(self) -> float:
        """As Screen has it."""
        return self._next

    def begin(self) -> None:
        """The header; the first interval begins."""
        self._output.write(self._draws.begin())
        self._before = time.monotonic()
        self._next = self._before + self._interval

    def show(self, items: list[Any]) -> None:
        """Tell what happened, and what was moved if it is time for that."""
        text: list[str] = []
        gone = {_who(item.process) for item in items if isinstance(item, Gone)}
        if gone:
            # What they moved last stands before the word that they are gone.
            self._gone |= gone
            self._draw_sums(text, self._gone, all_=False)
        for item in items:
            if isinstance(item, (Began, Gone, Waiting)):
                self._tell(item, text)
            elif isinstance(item, (Interrupted, Escaped)):
                self._missing(item, text)
        now = time.monotonic()
        if now >= self._next:
            self._draw_sums(text, self._living() | self._gone)
            # Where that took longer than it should, there are fewer intervals, not later ones.
            self._next += (int((now - self._next) / self._interval) + 1) * self._interval
        self._flush(text)

    def end(self) -> None:
        """What was moved since the last interval."""
        text: list[str] = []
        self._draw_sums(text, self._living() | self._gone, idle=False)
        self._flush(text)

    def _living(self) -> set[tuple[int, int]]:
        return {_who(process) for process in self._watch.living.values()}

    def _draw_sums(
        self,
        text: list[str],
        wanted: Collection[tuple[int, int]],
        *,
        all_: bool = True,
        idle: bool = True,
    ) -> None:
        """Lines for these processes; `all_` of them, so that another interval begins.

        `idle`: also for those that moved nothing.
        """
        rows = self._watch.held()
        if rows is None:
            # The next time has it all.
            return
        now, clock = time.monotonic(), time.time_ns()
        for row in rows:
            if _who(row.process) not in wanted:
                continue
            moved = self._gained(row)
            if idle or moved != _ZERO:
                text.append(self._draws.sums(Sums(clock, now - self._before, row.process, moved)))
        self._gone.clear()
        if all_:
            self._before = now

    def _gained(self, row: Held) -> Totals:
        """What a process has moved since this was asked last."""
        process = row.process
        key, who = _Key(process.pid, process.start, process.attached), _who(process)
        before = self._counted.get(key)
        if before is None:
            # Counters that began anew have nothing from before the watch.
            before = _ZERO if who in self._seen else self._watch.before(process.pid)
        self._seen.add(who)
        self._counted[key] = row.total
        return Totals(*(max(0, count) for count in stats.minus(row.total, before)))

    def _missing(self, item: Interrupted | Escaped, text: list[str]) -> None:
        if isinstance(item, Escaped):
            shown = self._draws.missed(item.operations)
        else:
            shown = self._draws.interrupted(item.seconds)
        if self._aside:
            self._flush(text)
            say(shown.rstrip("\n"))
        else:
            text.append(shown)


def _who(process: Process) -> tuple[int, int]:
    return process.pid, process.start


def _drawer(wish: Wish, interval: float, began: int) -> Drawer:
    if wish.form.kind == "json":
        return JsonIntervals()
    from netioctl.render import palette
    from netioctl.render.clocks import Clock

    clock = Clock(wish.form.time, began)
    if wish.form.kind == "csv":
        return CsvIntervals(clock)
    return TextIntervals(clock, interval, palette.colours() if wish.form.colour else palette.PLAIN)
