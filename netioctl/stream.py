"""The stream: frames from a gate, and what they hold in order, losses included. Public API."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from netioctl.answers import Process
from netioctl.wire import frames, layout
from netioctl.wire.endpoints import UNKNOWN, Connection, describe
from netioctl.wire.errors import LayoutError

if TYPE_CHECKING:
    import zmq

#: Frames that may wait in this process before the gate begins to drop: 64 MB at their largest.
RECEIVE_HIGH_WATER = 1000
#: Milliseconds until a lost connection to the gate is tried anew.
RECONNECT_MS = 25
#: Connections that are remembered: more than a daemon counts by default, and than events can name
#: that wait to be shown. The oldest are asked for again where they are needed.
MAX_CONNECTIONS = 80_000

_U32 = 0xFFFFFFFF
_HALF = 1 << 31


class Events(NamedTuple):
    """Events of one process in the order of the kernel: `number` struct event in `data`.

    Add `wall_offset` to an event's time for nanoseconds since the epoch. `comm` is the
    process's name as it calls itself: not safe for a terminal.
    """

    pid: int
    comm: str
    wall_offset: int
    number: int
    data: memoryview


class Lost(NamedTuple):
    """Here `events` are missing. `stage`: `kernel` (its ring was full), `stream` (we are slow)."""

    pid: int
    events: int
    stage: str


def check_layout(fingerprint: int) -> None:
    """Compare a daemon's layout with ours.

    Raises:
        LayoutError: they differ.
    """
    if fingerprint != layout.load().fingerprint:
        raise LayoutError(
            "netiod and netioctl do not agree about the layout of events: install the same "
            "version of both and restart netiod"
        )


class Stream:
    """The SUB side of a gate. Not for several threads."""

    def __init__(self, endpoint: str) -> None:
        import zmq

        self._zmq = zmq
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.set(zmq.MAXMSGSIZE, frames.MAX_FRAME)
        self._socket.connect(endpoint)
        self.endpoint = endpoint

    def close(self) -> None:
        """End the connection."""
        self._socket.close(0)
        self._context.term()

    def fileno(self) -> int:
        """Readable when frames may have come. Edge-triggered: take all before waiting on it."""
        return int(self._socket.get(self._zmq.FD))

    def subscribe(self, topic: str) -> None:
        """Receive the frames of a process from now on, or soon after: see `sync`."""
        self._socket.subscribe(topic.encode())

    def unsubscribe(self, topic: str) -> None:
        """Receive them no longer."""
        self._socket.unsubscribe(topic.encode())

    def frames(self, limit: int) -> list[bytes]:
        """Frames that have come, at most `limit`; fewer mean that there were no more."""
        received: list[bytes] = []
        receive, flag = self._socket.recv, self._zmq.NOBLOCK
        try:
            for _ in range(limit):
                received.append(receive(flag))
        except self._zmq.Again:
            pass
        return received


class _Track:
    """What is known of a process's place in the stream."""

    __slots__ = ("comm", "epoch", "expected", "lost", "missing", "name", "replaced", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        #: Index of the next event; None before the first frame.
        self.expected: int | None = None
        #: The kernel's count of lost events as last seen, modulo 2^32.
        self.lost = 0
        self.comm = b""
        self.name = ""
        #: Of the last frame.
        self.epoch: int | None = None
        self.replaced = 0
        #: Events that passed while there was no stream; None: that many and nobody knows.
        self.missing: int | None = 0


class Reader:
    """Turns frames into Events and Lost; losses before a process's first frame are not told.

    Where `unknown` has something after read(), ask Client.describe() for it, and tell learn() the
    answer, before events are shown: the frames that described those were before ours, or lost.
    """

    def __init__(self, *, failed: bool = False) -> None:
        """`failed`: operations that failed are wanted, too, where somebody asked for them."""
        known = layout.load()
        record = known.structs["event"]
        self._size = record.size
        self._failed = failed
        self._fingerprint = known.fingerprint
        at = record.offset("lost")
        self._lost = struct.Struct(f"<{at}xI{record.size - at - 4}x")
        self._ids = record.offset("conn") // 4, record.size // 4
        self._tracks: dict[int, _Track] = {}
        # Id 0: it has no row, and nobody knows more.
        self._connections: dict[int, Connection] = {0: UNKNOWN}
        #: Ids in events that no frame has described to us.
        self.unknown: set[int] = set()
        #: The run of the broker that the last frame is from.
        self.epoch: int | None = None
        #: Grows when a connection that was described before is described otherwise.
        self.generation = 0
        #: Set where a frame is the first after there was no stream; reset it.
        self.interrupted = False
        #: The frames that have this come by another gate than those before.
        self.replaced = 0

    def follow(self, processes: Iterable[Process]) -> None:
        """Read the frames of these processes; those of others are passed over."""
        for process in processes:
            self._tracks[process.pid] = _Track(process.start)

    def join(self, process: Process, published: int, lost: int, epoch: int, replaced: int) -> None:
        """Read the frames of a process that is watched from its event `published` on."""
        track = self._tracks[process.pid] = _Track(process.start)
        track.expected, track.lost = published, lost & _U32
        track.epoch, track.replaced = epoch, replaced

    def knows(self, frame: bytes) -> bool:
        """Whether a frame's process is one that is followed; what is no frame is for read()."""
        number = frame[4 : frame.find(b".", 4)]
        return not number.isdigit() or int(number[:12]) in self._tracks

    def forget(self, pid: int) -> None:
        """Pass over the frames of a process from now on."""
        self._tracks.pop(pid, None)

    def expected(self, pid: int) -> int | None:
        """Index of the next event of a process; None before its first frame."""
        track = self._tracks.get(pid)
        return None if track is None else track.expected

    def begun(self, pid: int, epoch: int, replaced: int) -> bool:
        """Whether a frame of that run of the broker, by that gate or a later, has come."""
        track = self._tracks.get(pid)
        if track is None:
            return True
        return track.epoch is not None and track.epoch == epoch and track.replaced >= replaced

    def anew(self, pid: int) -> None:
        """The index of a process began anew: nobody knows what is missing before it."""
        if (track := self._tracks.get(pid)) is not None:
            track.missing = None

    def gone(self, pid: int, published: int | None, lost: int | None) -> None:
        """While there was no stream a process exited; its index and losses were these."""
        track = self._tracks.get(pid)
        if track is None or track.expected is None:
            return
        if published is None:
            track.missing = None
        else:
            self._skip(track, published, track.lost if lost is None else lost & _U32)

    def missing(self) -> int | None:
        """How many events passed while there was no stream, since the last call; None: unknown."""
        counts = [track.missing for track in self._tracks.values()]
        for track in self._tracks.values():
            track.missing = 0
        return None if None in counts else sum(n for n in counts if n is not None)

    def learn(self, found: Mapping[int, Connection]) -> None:
        """What the daemon says of those that were unknown; of the others it knows nothing."""
        for ident in self.unknown:
            self._remember(ident, found.get(ident, UNKNOWN))
        self.unknown.clear()

    def connection(self, ident: int) -> Connection:
        """The connection with that id, or UNKNOWN."""
        return self._connections.get(ident, UNKNOWN)

    def read(self, frame: bytes) -> Sequence[Events | Lost]:
        """What a frame holds, in order.

        Raises:
            ProtocolError: it is not a frame, or of another version.
            LayoutError: its events are laid out otherwise.
        """
        header, data, tail = frames.unpack(frame, self._size)
        if header.layout != self._fingerprint:
            check_layout(header.layout)
        track = self._tracks.get(header.tgid)
        if track is None or track.start != header.start:
            return ()
        if header.epoch != self.epoch:
            self._begin(header.epoch)
        self._follow_up(track, header, data)
        if header.conns:
            self._describe(tail)
        items: list[Events | Lost] = []
        count = header.events
        if track.expected is None:
            track.lost = self._lost.unpack_from(data)[0] if count else header.lost & _U32
        elif header.first > track.expected:
            items.append(Lost(header.tgid, header.first - track.expected, "stream"))
        elif header.first < track.expected:
            known = min(track.expected - header.first, count)
            data, count = data[known * self._size :], count - known
        track.expected = max(track.expected or 0, header.first + header.events)
        if count:
            first, step = self._ids
            ids = set(data.cast("I")[first::step])
            if not self._connections.keys() >= ids:
                self.unknown |= ids - self._connections.keys()
            self._split(items, header, track, data, count)
        self._kernel_lost(items, track, header.tgid, header.lost & _U32)
        return items

    def _begin(self, epoch: int) -> None:
        if self.epoch is not None:
            self.interrupted = True
            self.generation += 1
            self._connections = {0: UNKNOWN}
            self.unknown.clear()
        self.epoch = epoch

    def _follow_up(self, track: _Track, header: frames.Header, data: memoryview) -> None:
        """See whether there was no stream just before a frame, and what that cost."""
        if track.expected is not None:
            if track.epoch != header.epoch:
                lost = self._lost.unpack_from(data)[0] if header.events else header.lost & _U32
                if header.first < track.expected:
                    # It began anew, of which the daemon's answer to watch should tell, too.
                    track.missing, track.lost = None, lost
                self._skip(track, header.first, lost)
                track.expected = header.first
            elif track.replaced < self.replaced <= header.replaced:
                self.interrupted = True
                self._skip(track, header.first, track.lost)
        track.epoch, track.replaced = header.epoch, header.replaced

    @staticmethod
    def _skip(track: _Track, first: int, lost: int) -> None:
        """Go on at index `first` with so many lost in the kernel: the rest was not seen."""
        assert track.expected is not None
        more = (lost - track.lost) & _U32
        if more < _HALF:
            track.lost = lost
        else:
            more = 0
        if track.missing is not None:
            track.missing += max(0, first - track.expected) + more
        track.expected = max(track.expected, first)

    def _describe(self, tail: memoryview) -> None:
        for entry in frames.entries(tail):
            self.unknown.discard(entry.id)
            self._remember(
                entry.id,
                describe(entry.ident, entry.peer_pid, entry.local, entry.remote, entry.comm),
            )

    def _remember(self, ident: int, connection: Connection) -> None:
        before = self._connections.get(ident)
        if before is None:
            if len(self._connections) > MAX_CONNECTIONS:
                # The oldest but for id 0, which comes first.
                del self._connections[next(itertools.islice(self._connections, 1, None))]
        elif before != connection:
            self.generation += 1
        self._connections[ident] = connection

    def _split(
        self,
        items: list[Events | Lost],
        header: frames.Header,
        track: _Track,
        data: memoryview,
        count: int,
    ) -> None:
        """The events of a frame, cut where the kernel lost some."""
        if header.comm != track.comm:
            track.comm = header.comm
            track.name = header.comm.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        size, begin = self._size, 0
        others = header.flags & frames.FAILURES and not self._failed

        def piece(begin: int, end: int) -> None:
            part = data[begin * size : end * size]
            if others:
                from netioctl.failures import without

                part = without(part)
            if number := len(part) // size:
                items.append(Events(header.tgid, track.name, header.wall_offset, number, part))

        # The kernel's count only grows, so where the last event knows of no loss, none does.
        last = self._lost.unpack_from(data, (count - 1) * size)[0]
        if last != track.lost:
            for index, (lost,) in enumerate(self._lost.iter_unpack(data)):
                if lost != track.lost and (lost - track.lost) & _U32 < _HALF:
                    piece(begin, index)
                    begin = index
                    self._kernel_lost(items, track, header.tgid, lost)
        piece(begin, count)

    @staticmethod
    def _kernel_lost(items: list[Events | Lost], track: _Track, pid: int, lost: int) -> None:
        # Modulo 2^32, and never backwards: a header may know of losses before the events do.
        more = (lost - track.lost) & _U32
        if 0 < more < _HALF:
            track.lost = lost
            items.append(Lost(pid, more, "kernel"))
