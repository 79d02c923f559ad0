"""A recording as if it were a watch: what a Session has, from a file."""

from __future__ import annotations

import select
import time
from array import array
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netioctl import stats
from netioctl.answers import Failure, Held, Process, Summary
from netioctl.polled import Polled
from netioctl.recording.items import Note, Run
from netioctl.recording.parts import Recording
from netioctl.recording.reader import Piece
from netioctl.stream import Events, Lost
from netioctl.targets import names
from netioctl.watching import Began, Escaped, Gone, Interrupted, Item
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import Code

if TYPE_CHECKING:
    from types import TracebackType

_SECOND = 1_000_000_000
#: Connections that are remembered; each block names again those that it needs.
_MOST = 65_536


class Replay(Polled):
    """What `reader` has of `pids` (none: all) between two times (ns since the epoch).

    `speed`: 1 as fast as it happened, 2 twice as fast; None: as fast as it is read.
    """

    #: What it does, for people.
    verb = "replaying"

    def __init__(
        self,
        reader: Recording,
        pids: Sequence[int] = (),
        *,
        since: int | None = None,
        until: int | None = None,
        speed: float | None = None,
    ) -> None:
        self._reader = reader
        self._since = reader.began if since is None else since
        self._until = reader.until if until is None else until
        self._whole = since is None and until is None
        self._speed = speed
        self._poll = select.poll()
        self._others: list[int] = []
        self._names: dict[int, Connection] = {}
        self._queue: deque[tuple[int, Item]] = deque()
        self._finished = False
        self._total: Summary | None = None
        #: Until where read() has come.
        self._position = self._since
        record = layout.load().structs["event"]
        self._size, self._time = record.size, record.offset("time")
        #: Grows when connection() may answer otherwise than before for the same id.
        self.generation = 0
        found = reader.processes() or self._begun() or self._seen()
        wanted = set(pids)
        #: The processes that were watched, as far as they are wanted; those that are not there.
        self.watched = tuple(p for p in found if not wanted or p.pid in wanted)
        self.errors = self._strangers(pids)
        self._pids = wanted - {error.pid for error in self.errors}
        self._pieces = reader.pieces(self._since, self._until) if self._wanted else iter(())
        self._began = time.monotonic()

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    @property
    def problems(self) -> list[str]:
        """What could not be read so far, a line each."""
        return self._reader.problems

    @property
    def living(self) -> dict[int, Process]:
        """None: nothing more can be asked of them."""
        return {}

    @property
    def named(self) -> str:
        """As Session has it."""
        return names(self.watched)

    @property
    def expects(self) -> bool:
        """As Session has it."""
        return bool(self.watched)

    def attach(self) -> None:
        """Nothing: as Session has it."""

    def open(self) -> None:
        """The replay begins now."""
        self._began = time.monotonic()

    def wait(self, seconds: float | None) -> set[int]:
        """Wait until something is due, at most so long; the descriptors that are ready."""
        self._fill()
        left = 0.0
        if self._queue and self._speed is not None:
            left = max(0.0, self._due(self._queue[0][0]) - time.monotonic())
        if seconds is not None:
            left = min(left, seconds)
        return self._ready(left)

    def read(self) -> list[Item]:
        """What is due, in order: of one block at most."""
        self._fill()
        if not self._queue:
            return []
        if self._speed is None:
            items = [item for _, item in self._queue]
            self._position = max(self._position, self._queue[-1][0])
            self._queue.clear()
            return items
        now = self._since + int((time.monotonic() - self._began) * self._speed * _SECOND)
        due: list[Item] = []
        while self._queue and self._queue[0][0] <= now:
            at, item = self._queue.popleft()
            if isinstance(item, Events) and item.number > 1:
                item = self._part(item, now)
            self._position = max(self._position, at)
            due.append(item)
        return due

    def finish(self) -> Iterator[list[Item]]:
        """Nothing is under way: whoever ends a replay early has seen what they have seen."""
        yield from ()

    @property
    def ended(self) -> bool:
        """Whether read() has returned all."""
        self._fill()
        return self._finished and not self._queue

    def connection(self, ident: int) -> Connection:
        """The connection that an event's id means, or UNKNOWN."""
        return self._names.get(ident, UNKNOWN)

    def summary(self) -> Summary:
        """What was counted in the time that is shown, until where read() has come.

        Of a whole recording that is what the kernel counted; of a part of one, the sum of
        its events, which is not complete where some were lost.
        """
        if not self.ended:
            return self._sum()
        if self._total is None:
            counted = self.counted() if self._whole else None
            self._total = self._sum() if counted is None else counted
        return self._total

    def _sum(self) -> Summary:
        until = self._until if self.ended else self._position
        from netioctl.recording.sums import Sums

        sums = Sums(self._since, until, self._pids)
        for piece in self._reader.pieces(self._since, until):
            sums.add(piece)
        return sums.summary(self._reader.processes())

    def skip(self) -> None:
        """Go to the end, without reading what happened until there."""
        self._pieces = iter(())
        self._queue.clear()
        self._finished = True

    @property
    def began(self) -> int:
        """When what is shown begins, nanoseconds since the epoch."""
        return self._since

    @property
    def until(self) -> float:
        """When what is shown ends, epoch seconds."""
        return self._until / _SECOND

    def list(self) -> tuple[Held, ...]:
        """The processes that were watched then, with what they moved in the time that is shown."""
        notes = tuple(self._notes())
        self._add_later(notes, self._pids)
        gone: dict[tuple[int, int], float] = {}
        for note in notes:
            if isinstance(note.item, Gone):
                gone[note.item.process.pid, note.item.process.start] = note.time / _SECOND
        self.skip()
        value = self.summary()
        totals = {pid: stats.of(value, (pid,)).total for pid in {p.pid for p in self.watched}}
        return tuple(
            Held(p, None, 0, gone.get((p.pid, p.start)), totals[p.pid]) for p in self.watched
        )

    def counted(self) -> Summary | None:
        """What the kernel counted during this recording; None where its end is missing."""
        base, last = self._reader.counters()
        if last is None or not self._reader.ended:
            return None
        whole = last if base is None else stats.subtract(last, base)
        return stats.of(whole, self._pids) if self._pids else whole

    @property
    def _wanted(self) -> bool:
        return not self.errors or bool(self._pids)

    def _begun(self) -> tuple[Process, ...]:
        """Where nothing was there yet that was looked for: what came."""
        return tuple(note.item.process for note in self._notes() if isinstance(note.item, Began))

    def _seen(self) -> tuple[Process, ...]:
        """Where it cannot be read what was watched: whose events there are."""
        names = {
            run.pid: run.comm
            for piece in self._reader.pieces(self._since, self._until)
            for run in piece.items
            if isinstance(run, Run)
        }
        began = self._since / _SECOND
        return tuple(
            Process(pid, 0, comm, 0, began, f"pid.{pid}.", None, False)
            for pid, comm in names.items()
        )

    def _strangers(self, pids: Sequence[int]) -> tuple[Failure, ...]:
        missing = set(pids) - {process.pid for process in self.watched}
        if missing:
            # It may have begun while others were recorded.
            self._add_later(self._notes(), missing)
        missing -= {process.pid for process in self.watched}
        text = f"process {{}} is not in {self._reader.path}"
        return tuple(Failure(pid, int(Code.NOT_HELD), text.format(pid)) for pid in sorted(missing))

    def _add_later(self, notes: Iterable[Note], pids: Collection[int]) -> None:
        """Also those processes, of `pids` if there are some, that began while others ran."""
        known = {(process.pid, process.start): process for process in self.watched}
        for note in notes:
            if isinstance(note.item, Began):
                process = note.item.process
                if not pids or process.pid in pids:
                    known.setdefault((process.pid, process.start), process)
        self.watched = tuple(known.values())

    def _notes(self) -> Iterator[Note]:
        for piece in self._reader.pieces(self._since, self._until):
            yield from (each for each in piece.items if isinstance(each, Note))

    def _due(self, at: int) -> float:
        assert self._speed is not None
        return self._began + (at - self._since) / _SECOND / self._speed

    def _fill(self) -> None:
        while not self._queue and not self._finished:
            piece = next(self._pieces, None)
            if piece is None:
                self._finished = True
                return
            self._take(piece)

    def _take(self, piece: Piece) -> None:
        if len(self._names) + len(piece.connections) > _MOST:
            self._names.clear()
            self.generation += 1
        if any(self._names.get(ident, new) != new for ident, new in piece.connections.items()):
            self.generation += 1
        self._names.update(piece.connections)
        begin = 0
        for each in piece.items:
            if isinstance(each, Note):
                if self._since <= each.time <= self._until and self._concerns(each.item):
                    self._queue.append((each.time, each.item))
                continue
            end = begin + each.number * self._size
            if not self._pids or each.pid in self._pids:
                self._take_run(each, piece.data[begin:end])
            begin = end

    def _take_run(self, run: Run, data: memoryview) -> None:
        times = self._times(data)
        low, high = self._since - run.wall_offset, self._until - run.wall_offset
        if min(times) < low or max(times) > high:
            size = self._size
            kept = [at for at, moment in enumerate(times) if low <= moment <= high]
            data = memoryview(b"".join([data[at * size : (at + 1) * size] for at in kept]))
            times = self._times(data)
        if times:
            events = Events(run.pid, run.comm, run.wall_offset, len(times), data)
            self._queue.append((times[0] + run.wall_offset, events))

    def _part(self, item: Events, now: int) -> Events:
        """The first of these events that are due; the others wait."""
        times = self._times(item.data)
        number = next(
            (at for at, moment in enumerate(times) if moment + item.wall_offset > now), item.number
        )
        number = max(1, number)
        if number < item.number:
            cut = number * self._size
            rest = item._replace(number=item.number - number, data=item.data[cut:])
            self._queue.appendleft((times[number] + item.wall_offset, rest))
        return item._replace(number=number, data=item.data[: number * self._size])

    def _times(self, data: memoryview) -> array[int]:
        return array("Q", bytes(data))[self._time // 8 :: self._size // 8]

    def _concerns(self, item: Any) -> bool:
        if not self._pids or isinstance(item, (Escaped, Interrupted)):
            return True
        if isinstance(item, (Began, Gone)):
            return item.process.pid in self._pids
        return not isinstance(item, Lost) or item.pid in self._pids
