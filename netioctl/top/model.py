"""What `top` knows: processes and connections with their counters, rates and ancestry."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from netioctl.answers import Held, Process, Row, Totals
from netioctl.stats import add
from netioctl.top.meter import HISTORY, Meter, Rates
from netioctl.top.sample import Connections, Key, Sample

#: Seconds that a process stays on the screen after its exit, unless it is among the last.
STAYS = 10.0
_Words = tuple["str | None", "str | None", "str | None", "str | None"]


class Connection:
    """A connection of `process`; family `other` stands for all without a row of their own."""

    __slots__ = ("family", "local", "meter", "process", "proto", "remote")

    def __init__(self, process: Member, row: Row) -> None:
        self.process = process
        self.family, self.proto = row.family, row.proto
        self.local, self.remote = row.local, row.remote
        self.meter = Meter()

    @property
    def pid(self) -> int:
        """Whose it is."""
        return self.process.pid


class Member:
    """A process. `parent`: the PID that it was the child of when it came; `exited`: monotonic."""

    __slots__ = (
        *("attached", "comm", "connections", "exited", "meter", "parent", "pid", "read_at"),
        *("since", "start", "uid", "user"),
    )

    def __init__(self, process: Process, user: str, parent: int | None) -> None:
        self.pid, self.start, self.comm = process.pid, process.start, process.comm
        self.uid, self.user, self.parent = process.uid, user, parent
        self.attached, self.since = process.attached, process.since
        self.exited: float | None = None
        self.meter = Meter()
        self.connections: dict[_Words, Connection] = {}
        #: When `connections` were known to be all there are.
        self.read_at: float | None = None

    @property
    def process(self) -> Member:
        """Itself, as a connection has one."""
        return self


class Model:
    """Takes in samples; `user` names a uid.

    `closed`: only processes that were named by began() belong here; else all that are held.
    """

    def __init__(self, user: Callable[[int], str], *, closed: bool) -> None:
        self._user, self.closed = user, closed
        self._known: dict[Key, int | None] = {}
        self._names: dict[int, str] = {}
        self._at: float | None = None
        self._past = Totals()
        self.members: dict[Key, Member] = {}
        #: Of all processes together, since each was attached; the latest rate is the last.
        self.total, self.rates = Totals(), Rates()
        self.sent: deque[float] = deque(maxlen=HISTORY)
        self.received: deque[float] = deque(maxlen=HISTORY)
        #: How often counters of a process began anew, so that totals lack what was before.
        self.anew = 0
        #: Grows with each sample.
        self.generation = 0
        #: Whether rates are known: the second sample has come.
        self.rated = False

    def began(self, process: Process, parent: int | None = None) -> None:
        """This process belongs here from now on."""
        self._known[process.pid, process.start] = parent

    def gone(self, process: Process, now: float) -> None:
        """It has exited, or was taken from us, at `now` (monotonic seconds)."""
        member = self.members.get((process.pid, process.start))
        if member is not None and member.exited is None:
            member.exited = now

    def take(self, sample: Sample) -> None:
        """Take in what was read."""
        if sample.held is not None:
            self._take_processes(sample.held, sample)
        if sample.connections is not None:
            self._take_connections(sample.connections)
        self.generation += 1

    def pids(self) -> frozenset[int]:
        """Of all processes that are on the screen."""
        return frozenset(member.pid for member in self.members.values())

    def connections(self) -> Iterator[Connection]:
        """All that are known."""
        for member in self.members.values():
            yield from member.connections.values()

    def _take_processes(self, held: Iterable[Held], sample: Sample) -> None:
        now = sample.time
        seen = set()
        for row in held:
            process = row.process
            key = (process.pid, process.start)
            member = self.members.get(key)
            if member is None:
                if not self._belongs(key, row):
                    continue
                member = self._add(process)
            seen.add(key)
            anew = member.attached != process.attached
            if anew:
                self.anew += 1
                member.attached, member.since = process.attached, process.since
            member.comm = process.comm
            member.meter.read(row.total, now, self._zero(process, sample), anew=anew)
            if row.exited is not None and member.exited is None:
                member.exited = now
        for key, member in self.members.items():
            if key not in seen and member.exited is None:
                member.exited = now
                member.meter.quiet(now)
        self._drop(now)
        self._sum(now)
        self.rated = self._at is not None
        self._at = now

    def _zero(self, process: Process, sample: Sample) -> float | None:
        """When its counters were zero, if that is not long ago."""
        if self._at is None:
            return None
        age = sample.wall - process.since
        # One sample may have had it already, before we were told that it belongs here.
        recent = age <= 2 * (sample.time - self._at)
        return min(self._at, sample.time - age) if recent else None

    def _belongs(self, key: Key, row: Held) -> bool:
        if self.closed:
            return key in self._known
        # What exited before we came was never on the screen, or has been taken off it.
        return row.exited is None

    def _add(self, process: Process) -> Member:
        name = self._names.get(process.uid)
        if name is None:
            name = self._names[process.uid] = self._user(process.uid)
        key = (process.pid, process.start)
        self.members[key] = Member(process, name, self._known.get(key))
        return self.members[key]

    def _drop(self, now: float) -> None:
        """Take those off that exited a while ago, but never all there are."""
        if all(member.exited is not None for member in self.members.values()):
            return
        for key, member in list(self.members.items()):
            if member.exited is not None and now - member.exited > STAYS:
                self._past = add(self._past, member.meter.total)
                self._known.pop(key, None)
                del self.members[key]

    def _sum(self, now: float) -> None:
        total, rates = self._past, [0.0] * len(Rates._fields)
        for member in self.members.values():
            if member.exited is not None and member.exited < now:
                member.meter.quiet(now)
            meter = member.meter
            total = add(total, meter.total)
            if meter.rates is not None and any(meter.rates):
                for at, rate in enumerate(meter.rates):
                    rates[at] += rate
        self.total, self.rates = total, Rates(*rates)
        if self._at is not None:
            self.sent.append(self.rates.sent_bytes)
            self.received.append(self.rates.recv_bytes)

    def _take_connections(self, taken: Connections) -> None:
        now = taken.time
        for key in taken.covered:
            member = self.members.get(key)
            if member is None:
                continue
            rows = taken.rows.get(key)
            if rows is None:
                for connection in member.connections.values():
                    connection.meter.quiet(now)
            else:
                self._take_rows(member, rows, now)
            member.read_at = now

    def _take_rows(self, member: Member, rows: Iterable[Row], now: float) -> None:
        found: dict[_Words, Connection] = {}
        for row in rows:
            words = (row.family, row.proto, row.local, row.remote)
            connection = member.connections.get(words) or Connection(member, row)
            # What was not there when all were read last had counted nothing by then.
            connection.meter.read(row.total, now, member.read_at)
            found[words] = connection
        member.connections = found
