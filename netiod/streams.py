"""The broker's side of the gates: which user has one, and what is sent to it."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from netioctl.wire.errors import Code, LimitReached, RequestError
from netiod import channel
from netiod.channel import LENGTH
from netiod.control import Connection
from netiod.gates import MAX_GATES
from netiod.holding import Holding
from netiod.policy import Caller

#: In the place of a uid: the gate that serves uid 0 and the operators' group.
OPERATORS = 0xFFFFFFFF
#: Seconds that a gate without viewers stays, and that a viewer waits for a new one: less than a
#: client waits for an answer (5), so that it hears why there is none.
_IDLE, _WAIT = 30.0, 3.0

#: Frames at most that are sent at once.
_FRAMES = 256

#: Told the endpoint, or why there is none.
Answer = Callable[["str | RequestError"], None]


def gate_of(caller: Caller) -> int:
    """The uid whose gate serves `caller`."""
    return OPERATORS if caller.operator else caller.uid


@dataclass
class _Gate:
    sock: socket.socket | None = None
    pid: int = 0
    waiting: list[tuple[float, Answer]] = field(default_factory=list)
    idle_since: float | None = None
    #: What is to be sent: frames in a row, the length of each before it.
    buffers: list[bytes | memoryview] = field(default_factory=list)
    #: Bytes, frames and events of that.
    size: int = 0
    frames: int = 0
    events: int = 0
    #: time.monotonic() when it died, until there is the next.
    died: float | None = None


class Streams:
    """The gates that the supervisor makes; `ask_open` and `ask_close` are requests to it."""

    def __init__(
        self,
        endpoint: Callable[[int], str],
        ask_open: Callable[[int], None],
        ask_close: Callable[[int], None],
    ) -> None:
        self._endpoint, self._ask_open, self._ask_close = endpoint, ask_open, ask_close
        self._gates: dict[int, _Gate] = {}
        self._answers: deque[tuple[Answer, str | RequestError]] = deque()
        #: Events that were not passed on because a gate did not keep up.
        self.dropped = 0

    def open(self, connection: Connection, answer: Answer) -> None:
        """Call `answer`, later, with the endpoint of the caller's gate, or an error."""
        uid = gate_of(connection.caller)
        gate = self._gates.get(uid)
        if gate is None:
            gate = self._gates[uid] = _Gate()
            self._ask_open(uid)
        gate.idle_since = None
        if gate.sock is not None:
            self._answers.append((answer, self._endpoint(uid)))
        else:
            gate.waiting.append((time.monotonic() + _WAIT, answer))

    def opened(self, uid: int, pid: int, sock: socket.socket) -> float | None:
        """The supervisor hands over a gate; the seconds without, where one had died before."""
        gate = self._gates.get(uid)
        if gate is None:
            sock.close()
            self._ask_close(uid)
            return None
        self._lost(gate)
        died, gate.died = gate.died, None
        sock.setblocking(False)
        gate.sock, gate.pid = sock, pid
        self._answers.extend((answer, self._endpoint(uid)) for _, answer in gate.waiting)
        gate.waiting.clear()
        return None if died is None else time.monotonic() - died

    def refused(self, uid: int) -> None:
        """The supervisor makes no more gates."""
        gate = self._gates.pop(uid, None)
        if gate is not None:
            text = f"netiod streams to {MAX_GATES} users at once: try again later, or use add"
            error = LimitReached(text)
            self._answers.extend((answer, error) for _, answer in gate.waiting)

    def ended(self, uid: int) -> None:
        """A gate has died; the supervisor makes another."""
        gate = self._gates.get(uid)
        if gate is not None:
            self._lost(gate)

    @staticmethod
    def _lost(gate: _Gate) -> None:
        if gate.sock is not None:
            gate.sock.close()
            gate.sock = None
            gate.died = time.monotonic()

    def send(self, holding: Holding, frame: Sequence[bytes | memoryview], events: int) -> None:
        """Pass a frame, in pieces, to the gate of everyone who watches `holding`, with the next
        flush(). The pieces must stay as they are until then."""
        size = sum(map(len, frame))
        before = LENGTH.pack(size)
        for uid in {gate_of(v.caller) for v, stream in holding.leases.items() if stream}:
            gate = self._gates.get(uid)
            if gate is None:
                continue
            if gate.size + size > channel.MAX_DATA - LENGTH.size or gate.frames == _FRAMES:
                self._flush(gate)
            gate.buffers.append(before)
            gate.buffers += frame
            gate.size += LENGTH.size + size
            gate.frames += 1
            gate.events += events

    def flush(self) -> None:
        """Send what there is to be sent."""
        for gate in self._gates.values():
            if gate.frames:
                self._flush(gate)

    def _flush(self, gate: _Gate) -> None:
        try:
            if gate.sock is not None:
                gate.sock.send(b"".join(gate.buffers))
            elif gate.pid:
                # It has died. Before its first gate nobody listens yet.
                self.dropped += gate.events
        except OSError:
            # Full: the gate is behind; gone: another will come. The gap shows in `first`.
            self.dropped += gate.events
        gate.buffers.clear()
        gate.size = gate.frames = gate.events = 0

    def close(self) -> None:
        """Close the sockets: the gates see the end of their data."""
        for gate in self._gates.values():
            if gate.sock is not None:
                gate.sock.close()
        self._gates.clear()

    def settle(self) -> None:
        """Give the answers that have become known."""
        while self._answers:
            answer, endpoint = self._answers.popleft()
            answer(endpoint)

    def tick(self, watched_by: set[int]) -> None:
        """Once a second: end gates that nobody uses, and waits that are too long."""
        now = time.monotonic()
        for uid, gate in list(self._gates.items()):
            late = [answer for deadline, answer in gate.waiting if deadline < now]
            gate.waiting = [(d, a) for d, a in gate.waiting if d >= now]
            text = "the stream cannot be opened; netiod's log says why"
            error = RequestError(text, Code.INTERNAL_ERROR)
            self._answers.extend((answer, error) for answer in late)
            if uid in watched_by or gate.waiting:
                gate.idle_since = None
            elif gate.idle_since is None:
                gate.idle_since = now
            elif now - gate.idle_since > _IDLE:
                if gate.sock is not None:
                    gate.sock.close()
                del self._gates[uid]
                self._ask_close(uid)

    @property
    def pending(self) -> bool:
        """Whether settle() has something to do."""
        return bool(self._answers)

    def pids(self) -> list[tuple[str, int]]:
        """(role, pid) of each gate."""
        return [
            ("gate-operators" if uid == OPERATORS else f"gate-{uid}", gate.pid)
            for uid, gate in sorted(self._gates.items())
            if gate.pid
        ]
