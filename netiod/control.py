"""The control socket's server side: connections, lines, who is calling. What is said: verbs.py."""

from __future__ import annotations

import contextlib
import itertools
import logging
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netioctl.wire import control
from netioctl.wire.errors import Code, NetioError, ProtocolError, RequestError
from netiod import peer
from netiod.holdings import Holding
from netiod.policy import Caller

_LOG = logging.getLogger("netiod.control")
#: Bytes waiting for a client beyond which its requests wait, and beyond which it is dropped.
_OUT_PAUSE, _OUT_DROP = 1 << 16, 1 << 20
#: Bytes read and thrown away of a client that was told to go.
_SPURN = 1 << 22
#: Connections at once: below the descriptors that a process may have open.
_MAX_CONNECTIONS = 900

Object = dict[str, Any]


class Later:
    """What a verb returns whose answer comes later: by Connection.answer()."""


class Rows:
    """A long answer: rows, sent in pieces as the client takes them, then the result."""

    def __init__(self, rows: Iterable[Object], result: Object) -> None:
        self.rows = iter(rows)
        self.result = result

    def lines(self, ident: Any) -> Iterator[bytes]:
        """The messages, as lines."""
        while piece := list(itertools.islice(self.rows, control.ROWS_A_LINE)):
            yield control.encode(control.notification("rows", {"id": ident, "rows": piece}))
        yield control.encode(control.response(ident, self.result))


Handler = Callable[["Connection", Any, str, Object], Any]


class Connection:
    """One client. It is also what holds a lease (holdings.Viewer)."""

    def __init__(self, server: Server, sock: socket.socket, caller: Caller) -> None:
        self.caller = caller
        self.holdings: list[Holding] = []
        self._server, self._sock = server, sock
        self._in = bytearray()
        self._out: deque[bytes] = deque()
        self._waiting: Iterator[bytes] | None = None
        self._out_size = 0
        self._answering = False
        self._ended = self._closing = False
        self._spurned = 0
        self._events = selectors.EVENT_READ

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
        """Take requests as far as answers can be sent, and send what can be sent."""
        self.flush()
        while not self._closing and not self._blocked():
            end = self._in.find(b"\n")
            if end < 0 or end >= control.MAX_LINE:
                if end >= 0 or len(self._in) >= control.MAX_LINE:
                    self._too_long()
                break
            line = bytes(self._in[:end])
            del self._in[: end + 1]
            if line.strip():
                self._request(line)
            self.flush()
        self._watch()

    def flush(self) -> None:
        """Send what the client will take now."""
        try:
            while True:
                if not self._out:
                    if self._waiting is None:
                        break
                    piece = next(self._waiting, None)
                    if piece is None:
                        self._waiting = None
                        continue
                    self._queue(piece)
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
        self._sock.close()

    def _blocked(self) -> bool:
        return self._answering or self._waiting is not None or self._out_size > _OUT_PAUSE

    def _watch(self) -> None:
        pending = bool(self._out) or self._waiting is not None
        idle = not pending and not self._answering
        if idle and self._over():
            self._server.drop(self)
            return
        events = selectors.EVENT_WRITE if pending else 0
        if not (self._ended or self._blocked()):
            events |= selectors.EVENT_READ
        self._server.watch(self, self._sock, events)

    def _over(self) -> bool:
        if self._ended:
            return b"\n" not in self._in
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

    def _too_long(self) -> None:
        text = f"a line is longer than {control.MAX_LINE:,} bytes"
        self._queue(control.encode(control.error(None, Code.INVALID_REQUEST, text)))
        self._in.clear()
        self._closing = True
        self.flush()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _request(self, line: bytes) -> None:
        ident: Any = None
        try:
            message = control.decode(line)
            ident, method, params = _checked(message)
            result = self._server.handler(self, ident, method, params)
        except ProtocolError as error:
            result = RequestError(str(error), Code.PARSE_ERROR)
        except RequestError as error:
            result = error
        except NetioError as error:
            result = RequestError(str(error), Code.INVALID_REQUEST)
        except Exception:  # noqa: BLE001 - a defect ends one request, not the service
            number = next(self._server.defects)
            _LOG.exception("defect %d: a request failed", number)
            text = f"netiod failed on this request; its log says why under defect {number}"
            result = RequestError(text, Code.INTERNAL_ERROR)
        if isinstance(result, Later):
            self._answering = True
        else:
            self._send_result(ident, result)

    def _send_result(self, ident: Any, result: Any) -> None:
        if isinstance(result, Rows):
            self._waiting = result.lines(ident)
        elif isinstance(result, RequestError):
            self._queue(control.encode(control.error(ident, result.code, str(result))))
        else:
            self._queue(control.encode(control.response(ident, result)))


class Server:
    """Accepts connections on `listener` and hands requests to `handler`; `gone` when one ends."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        operators: int | None,
        handler: Handler,
        gone: Callable[[Connection], None],
    ) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self.defects = itertools.count(1)
        self._listener, self._selector = listener, selector
        self._operators, self._gone = operators, gone
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Close every connection and the listener."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        self._listener.close()

    def watch(self, connection: Connection, sock: socket.socket, events: int) -> None:
        """Have `connection` called when its socket is ready for `events`."""
        if connection not in self.connections or events == connection._events:
            return
        if not connection._events:
            self._selector.register(sock, events, connection.ready)
        elif not events:
            self._selector.unregister(sock)
        else:
            self._selector.modify(sock, events, connection.ready)
        connection._events = events

    def drop(self, connection: Connection) -> None:
        """The connection has ended, or is ended."""
        if connection not in self.connections:
            return
        self.watch(connection, connection._sock, 0)
        self.connections.discard(connection)
        connection.close()
        self._gone(connection)

    def _accept(self, _events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        try:
            caller = peer.caller_of(sock, self._operators)
        except OSError:
            sock.close()
            return
        if len(self.connections) >= _MAX_CONNECTIONS:
            text = f"netiod serves {_MAX_CONNECTIONS} connections at once; try again later"
            refusal = control.encode(control.error(None, Code.LIMIT_REACHED, text))
            sock.send(refusal)
            sock.close()
            return
        connection = Connection(self, sock, caller)
        self.connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection.ready)


def _checked(message: Object) -> tuple[Any, str, Object]:
    """(id, method, params) of a request.

    Raises:
        RequestError: it is not a JSON-RPC 2.0 request.
    """
    ident, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RequestError("not a JSON-RPC 2.0 request", Code.INVALID_REQUEST)
    if isinstance(ident, bool) or not isinstance(ident, (int, str)):
        raise RequestError("a request needs an id: a number or a text", Code.INVALID_REQUEST)
    if not isinstance(params, dict):
        raise RequestError("params must be an object", Code.INVALID_PARAMS)
    return ident, method, params
