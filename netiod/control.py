"""A connection on the control socket: its lines and their answers. What is said: verbs.py."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from netioctl.wire import control
from netioctl.wire.errors import Code, LimitReached, NetioError, ProtocolError, RequestError
from netiod.holding import Holding
from netiod.limits import ROWS_A_UID
from netiod.policy import Caller
from netiod.requests import Later, Object, Rows, Steps, checked
from netiod.turns import SLICE

if TYPE_CHECKING:
    from netiod.server import Server

_LOG = logging.getLogger("netiod.control")
#: Bytes waiting for a client beyond which its requests wait, and beyond which it is dropped.
_OUT_PAUSE, _OUT_DROP = 1 << 16, 1 << 18
#: Bytes read and thrown away of a client that was told to go.
_SPURN = 1 << 22


#: connection, id, method, params: the result, Later, Rows, or Steps to one of them.
Handler = Callable[["Connection", Any, str, Object], Any]


class Connection:
    """One client. It is also what holds a lease (holding.Viewer)."""

    def __init__(self, server: Server, sock: socket.socket, caller: Caller) -> None:
        self.caller = caller
        #: What it watches, in the order of requests.
        self.holdings: dict[Holding, None] = {}
        self._server, self._sock = server, sock
        self._in = bytearray()
        self._out: deque[bytes] = deque()
        self._waiting: Iterator[bytes] | None = None
        self._running: tuple[Any, Steps] | None = None
        self._queued = False
        self._rows = 0
        self._out_size = 0
        self._answering = False
        self._ended = self._closing = False
        self._spurned = 0
        self.events = selectors.EVENT_READ

    def notify(self, method: str, params: Object) -> None:
        """Send a notification."""
        self._queue(control.encode(control.notification(method, params)))
        self.flush()

    def answer(self, ident: Any, result: Any) -> None:
        """Send what a verb that returned Later has come to: a result, Rows, or a RequestError."""
        self._answering = False
        self._send_result(ident, result)
        self.work()

    def ready(self, events: int) -> None:
        """The socket can be read or written."""
        if events & selectors.EVENT_READ:
            try:
                data = self._sock.recv(control.MAX_LINE)
            except BlockingIOError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                # Half-closed: the requests that came still get their answers.
                self._ended = True
            elif data and self._closing:
                # Read on for a while: closing with bytes unread would take the answer back.
                self._spurned += len(data)
            elif data:
                self._in += data
        self.work()

    def work(self) -> None:
        """Send what can be sent, and wait for a turn if there is more to do."""
        self.flush()
        if not self._queued and self._has_work():
            self._queued = True
            self._server.turns.add(self.caller.uid, self)
        self._watch()

    def step(self) -> float:
        """Take a request, or a part of one or of its answer; see turns.Worker."""
        cost = 0.0
        if not self._has_work():
            pass
        elif self._waiting is not None:
            piece = next(self._waiting, None)
            if piece is None:
                self._waiting = None
                self._server.rows_held(self, -self._rows)
                self._rows = 0
            else:
                self._queue(piece)
        elif self._running is not None:
            self._run(*self._running)
        else:
            cost = self._take()
        self.flush()
        if self._has_work():
            return cost
        self._queued = False
        self._watch()
        return -1.0

    def flush(self) -> None:
        """Send what the client will take now."""
        try:
            while self._out:
                sent = self._sock.send(self._out[0])
                self._out_size -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                else:
                    self._out.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._abandon()
        self._watch()

    def close(self) -> None:
        """Close the socket."""
        self._abandon()
        self._sock.close()

    def _has_work(self) -> bool:
        """Whether step() could do something now."""
        if self._closing or self._answering or self._out_size > _OUT_PAUSE:
            return False
        if self._waiting is not None or self._running is not None:
            return True
        return b"\n" in self._in or len(self._in) >= control.MAX_LINE

    def _take(self) -> float:
        end = self._in.find(b"\n")
        if end < 0 or end >= control.MAX_LINE:
            self._too_long()
            return 1.0
        line = bytes(self._in[:end])
        del self._in[: end + 1]
        return self._request(line) if line.strip() else 1.0

    def _watch(self) -> None:
        working = self._waiting is not None or self._running is not None
        pending = bool(self._out)
        idle = not (pending or working or self._answering or self._queued)
        if idle and self._over():
            self._server.drop(self, self._sock)
            return
        events = selectors.EVENT_WRITE if pending else 0
        busy = working or self._answering or self._queued or self._out_size > _OUT_PAUSE
        if not (self._ended or busy):
            events |= selectors.EVENT_READ
        self._server.watch(self, self._sock, events)

    def _over(self) -> bool:
        if self._ended:
            return self._closing or b"\n" not in self._in
        return self._closing and self._spurned > _SPURN

    def _queue(self, data: bytes) -> None:
        if self._out_size + len(data) > _OUT_DROP:
            # Notifications pile up for a client that does not read.
            self._abandon()
            return
        self._out.append(data)
        self._out_size += len(data)

    def _abandon(self) -> None:
        """Nothing more can be said to this client."""
        self._closing = self._ended = True
        self._answering = False
        self._in.clear()
        self._out.clear()
        self._out_size = 0
        self._waiting = None
        if self._running is not None:
            # It may be what brought us here, and then ends by itself.
            with contextlib.suppress(ValueError):
                self._running[1].close()
            self._running = None
        self._server.rows_held(self, -self._rows)
        self._rows = 0

    def _too_long(self) -> None:
        text = f"a line is longer than {control.MAX_LINE:,} bytes"
        self._queue(control.encode(control.error(None, Code.INVALID_REQUEST, text)))
        self._in.clear()
        self._closing = True
        self.flush()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _request(self, line: bytes) -> float:
        """Answer a request, or begin to; its cost: one, or one for each PID."""
        ident: Any = None
        cost = 1.0

        def begin() -> Any:
            nonlocal ident, cost
            message = control.decode(line)
            ident, method, params = checked(message)
            pids = params.get("pids")
            cost = float(len(pids)) if isinstance(pids, list) and pids else 1.0
            return self._server.handler(self, ident, method, params)

        result = self._guarded(begin)
        if isinstance(result, Generator):
            self._running = (ident, result)
            self._run(ident, result)
        else:
            self._send_result(ident, result)
        return cost

    def _run(self, ident: Any, steps: Steps) -> None:
        """Go on for a slice of time."""
        until = time.monotonic() + SLICE

        def go_on() -> Any:
            try:
                while time.monotonic() < until:
                    next(steps)
            except StopIteration as end:
                return end.value
            return steps

        result = self._guarded(go_on)
        if result is not steps and self._running is not None:
            self._running = None
            self._send_result(ident, result)

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What `act` returns, or a RequestError for what it raises."""
        try:
            return act()
        except ProtocolError as error:
            return RequestError(str(error), Code.PARSE_ERROR)
        except RequestError as error:
            return error
        except NetioError as error:
            return RequestError(str(error), Code.INVALID_REQUEST)
        except Exception:  # noqa: BLE001 - a defect ends one request, not the service
            number = next(self._server.defects)
            _LOG.exception("defect %d: a request failed", number)
            text = f"netiod failed on this request; its log says why under defect {number}"
            return RequestError(text, Code.INTERNAL_ERROR)

    def _send_result(self, ident: Any, result: Any) -> None:
        if isinstance(result, Rows) and not self._server.rows_held(self, result.held):
            result = LimitReached(
                f"uid {self.caller.uid} has not read answers of {ROWS_A_UID:,} rows, "
                "the most that one user may leave: read them, or end those connections"
            )
        if isinstance(result, Later):
            self._answering = True
        elif isinstance(result, Rows):
            self._rows = result.held
            self._waiting = result.lines(ident)
        elif isinstance(result, RequestError):
            self._queue(control.encode(control.error(ident, result.code, str(result))))
        else:
            self._queue(control.encode(control.response(ident, result)))
