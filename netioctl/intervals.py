"""Sums instead of events, from the kernel's counters: what `watch --interval` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from netioctl import stats
from netioctl.answers import Totals
from netioctl.output import Output, say
from netioctl.render.intervals import CsvIntervals, Drawer, JsonIntervals, Sums, TextIntervals
from netioctl.screen import Screen, Wish
from netioctl.stream import Lost
from netioctl.watching import Began, Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from netioctl.answers import Held, Process
    from netioctl.recording.stepped import Stepped
    from netioctl.session import Session

#: Of so many processes even those that move nothing have a line.
_MOST_IDLE = 10
_ZERO = Totals()


class _Key(NamedTuple):
    """Tells a process from others with its PID, and its counters from those before a restart."""

    pid: int
    start: int
    attached: int | None


class Intervals(Screen):
    """Asks for counters every so often, and prints what they have gained.

    All lines of a process add up to its total of this watch: the last one is of a shorter time,
    and one in which netiod was away of a longer.
    """

    def __init__(
        self, session: Session | Stepped, output: Output, wish: Wish, interval: float
    ) -> None:
        super().__init__(session, output, wish, None)
        self._watch, self._interval = session, interval
        self._draws = _drawer(wish, interval, session.began)
        #: The counters as they were last, and of whom.
        self._counted: dict[_Key, Totals] = {}
        self._seen: set[tuple[int, int]] = set()
        #: Who has exited in this interval; that is told below what they moved last.
        self._gone: list[Gone] = []
        self._before = self._next = 0.0

    @property
    def due(self) -> float:
        """As Screen has it."""
        return self._next

    def begin(self) -> None:
        """The header; the first interval begins."""
        self._output.write(self._draws.begin())
        self._before = self._watch.clock()
        self._next = self._before + self._interval

    def show(self, items: list[Any]) -> None:
        """Tell what happened, and what was moved if it is time for that."""
        text: list[str] = []
        for item in items:
            if isinstance(item, Gone) and item.reason is None:
                self._gone.append(item)
            elif isinstance(item, (Began, Gone, Waiting)):
                self._tell(item, text)
            elif isinstance(item, (Interrupted, Escaped, Lost)):
                self._missing(item, text)
        now = self._watch.clock()
        # The clock of a recording stands at the end of an interval, but for a rounding error.
        if now >= self._next - 1e-6:
            if self._draw_sums(text):
                self._tell_gone(text)
            # Where that took longer than it should, there are fewer intervals, not later ones.
            self._next += (int((now - self._next + 1e-6) / self._interval) + 1) * self._interval
        self._flush(text)

    def end(self) -> None:
        """What was moved since the last interval."""
        text: list[str] = []
        self._draw_sums(text, idle=False)
        self._tell_gone(text)
        self._flush(text)

    def _tell_gone(self, text: list[str]) -> None:
        for item in self._gone:
            self._tell(item, text)
        self._gone.clear()

    def _draw_sums(self, text: list[str], *, idle: bool = True) -> bool:
        """Lines for all that are watched, then another interval begins; False: not yet.

        `idle`: also for those that moved nothing.
        """
        rows = self._watch.held()
        if rows is None:
            # The next time has it all.
            return False
        now, clock = self._watch.clock(), self._watch.time_ns()
        wanted = {_who(process) for process in self._watch.living.values()}
        idle &= len(wanted) <= _MOST_IDLE
        wanted |= {_who(item.process) for item in self._gone}
        for row in rows:
            if _who(row.process) not in wanted:
                continue
            moved = self._gained(row)
            if idle or moved != _ZERO:
                text.append(self._draws.sums(Sums(clock, now - self._before, row.process, moved)))
        self._before = now
        return True

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

    def _missing(self, item: Interrupted | Escaped | Lost, text: list[str]) -> None:
        if isinstance(item, Escaped):
            shown = self._draws.missed(item.operations)
        elif isinstance(item, Lost):
            # Of a recording, whose sums are made of its events.
            shown = self._draws.lost(item)
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
