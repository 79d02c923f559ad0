"""The channel between supervisor and broker: small fixed messages over a SOCK_SEQPACKET pair.

A message is three little-endian u32: op, uid, pid. The broker is trusted less than the
supervisor, so integers are all that it can say. The first message to the broker is of another
kind: the handover (handover.py).
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from netioctl.wire.errors import ProtocolError
from netioctl.wire.frames import MAX_FRAME
from netiod import descriptors, handover

#: From the broker: it serves the control socket; a uid needs a gate; it needs none any more;
#: it is not stuck (every HEARTBEAT seconds); the hooks of demand.py are needed (`uid` 1), or
#: not (0).
READY, OPEN_GATE, CLOSE_GATE, ALIVE, NEED_HOOKS = 1, 2, 3, 4, 7
#: From the supervisor: a uid has a gate, process `pid`, and here is the socket to send its frames
#: into; a uid's gate has died (GATE follows; `pid` 0: it does not, there are too many gates); those
#: hooks are attached (`uid` 1) or not (0).
GATE, GATE_ENDED, HOOKS = 5, 6, 8

FROM_BROKER = frozenset((READY, OPEN_GATE, CLOSE_GATE, ALIVE, NEED_HOOKS))
FROM_SUPERVISOR = frozenset((GATE, GATE_ENDED, HOOKS))

#: In the place of a uid: the gate of uid 0 and the operators' group.
OPERATORS = 0xFFFFFFFF
#: Seconds between two ALIVE, and after how many without any message the broker is killed.
HEARTBEAT, SILENCE = 1.0, 10.0
#: Bytes that may wait between broker and gate: some 60 frames of the largest size.
DATA_BUFFER = 4 << 20
#: A message there has frames in a row, the length of each before it, and at most MAX_DATA bytes.
LENGTH = struct.Struct("<I")
MAX_DATA = LENGTH.size + MAX_FRAME

_MESSAGE = struct.Struct("<III")
#: Missing in Python's socket module: asm-generic/socket.h.
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33


class Message(NamedTuple):
    """A message; `sock` comes with GATE alone and belongs to the receiver. Does not block."""

    op: int
    uid: int
    pid: int
    sock: socket.socket | None


class Channel:
    """One end: by default the broker's, which hears the ops of the supervisor."""

    def __init__(self, sock: socket.socket, hears: frozenset[int] = FROM_SUPERVISOR) -> None:
        self._sock = sock
        self._hears = hears

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    def close(self) -> None:
        """End it; the other side sees that."""
        self._sock.close()

    def receive_handover(self) -> handover.Loaded:
        """Broker: wait for what the loader loaded, the first message.

        Raises:
            ProtocolError: something else came, or the supervisor is gone.
        """
        return handover.receive_loaded(self._sock)

    def hand_over(self, loaded: handover.Loaded) -> None:
        """Supervisor: the first message to a broker.

        Raises:
            OSError: it is gone.
        """
        handover.send_loaded(self._sock, loaded.info, loaded.fds)

    def ready(self) -> None:
        """Broker: the control socket is served."""
        self.send(READY)

    def alive(self) -> None:
        """Broker: not stuck; due every HEARTBEAT seconds once it has the handover."""
        self.send(ALIVE)

    def open_gate(self, uid: int) -> None:
        """Broker: `uid` or OPERATORS needs a gate; GATE answers."""
        self.send(OPEN_GATE, uid)

    def close_gate(self, uid: int) -> None:
        """Broker: `uid` or OPERATORS needs no gate any more; nothing answers."""
        self.send(CLOSE_GATE, uid)

    def need_hooks(self, wanted: bool) -> None:
        """Broker: something is held, or nothing is; HOOKS answers."""
        self.send(NEED_HOOKS, int(wanted))

    def send(self, op: int, uid: int = 0, pid: int = 0, sock: socket.socket | None = None) -> None:
        """Send one message, with a copy of `sock`.

        Raises:
            BlockingIOError: the other side reads nothing.
            OSError: it is gone.
        """
        fds = () if sock is None else (sock.fileno(),)
        descriptors.send(self._sock, _MESSAGE.pack(op, uid, pid), fds)

    def receive(self) -> Message | None:
        """The next message; None: the other side is gone.

        Raises:
            BlockingIOError: there is none yet (where the socket does not block).
            ProtocolError: it is no message that this end hears.
        """
        most = 1 if GATE in self._hears else 0
        data, fds = descriptors.receive(self._sock, _MESSAGE.size, most)
        if not data and not fds:
            return None
        try:
            return self._understand(data, fds)
        except ProtocolError:
            descriptors.close(fds)
            raise

    def _understand(self, data: bytes, fds: list[int]) -> Message:
        if len(data) != _MESSAGE.size:
            raise ProtocolError(f"a message of {len(data)} bytes")
        op, uid, pid = _MESSAGE.unpack(data)
        if op not in self._hears:
            raise ProtocolError(f"a message with op {op}")
        if len(fds) != (op == GATE):
            raise ProtocolError(f"a message with op {op} and {len(fds)} descriptors")
        return Message(op, uid, pid, socket.socket(fileno=fds[0]) if fds else None)


def data_pair() -> tuple[socket.socket, socket.socket]:
    """The way of frames from broker (first end, does not block) to gate (second)."""
    ends = descriptors.pair()
    for end in ends:
        for forced, plain in (
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        ):
            try:
                end.setsockopt(socket.SOL_SOCKET, forced, DATA_BUFFER)
            except PermissionError:
                # Without CAP_NET_ADMIN: as much as net.core.wmem_max allows.
                end.setsockopt(socket.SOL_SOCKET, plain, DATA_BUFFER)
    ends[0].setblocking(False)
    return ends
