"""The control socket's server side: who may connect, and whose turn it is."""

from __future__ import annotations

import contextlib
import itertools
import resource
import selectors
import socket
from collections import Counter
from collections.abc import Callable

from netioctl.wire import control
from netioctl.wire.errors import Code
from netiod import peer
from netiod.audit import Audit
from netiod.control import Connection, Handler
from netiod.limits import (
    CONNECTIONS,
    CONNECTIONS_A_UID,
    REQUESTS_A_SECOND,
    RESERVED,
    ROWS_A_UID,
)
from netiod.policy import Caller
from netiod.turns import Turns

#: Connections accepted at once, before others get their turn.
_ACCEPTS = 128
#: Descriptors that are not for connections: maps, programs, gates.
_OTHER_DESCRIPTORS = 512


class Server:
    """Accepts connections on `listener` and hands requests to `handler`; `gone` when one ends.

    Requests are taken by turns.round(), which the loop calls.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        operators: int | None,
        handler: Handler,
        gone: Callable[[Connection], None],
        audit: Audit | None = None,
    ) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self.defects = itertools.count(1)
        self.turns = Turns(late=self._late)
        self.most = min(CONNECTIONS, max(RESERVED, _descriptors() - _OTHER_DESCRIPTORS))
        self._counts: Counter[int] = Counter()
        self._rows: Counter[int] = Counter()
        self._listener, self._selector = listener, selector
        self._operators, self._gone = operators, gone
        self._audit = audit or Audit()
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Close every connection and the listener."""
        connections, self.connections = self.connections, set()
        for connection in connections:
            connection.close()
        self._listener.close()

    def watch(self, connection: Connection, sock: socket.socket, events: int) -> None:
        """Have `connection` called when its socket is ready for `events`."""
        if connection not in self.connections or events == connection.events:
            return
        if not connection.events:
            self._selector.register(sock, events, connection.ready)
        elif not events:
            self._selector.unregister(sock)
        else:
            self._selector.modify(sock, events, connection.ready)
        connection.events = events

    def drop(self, connection: Connection, sock: socket.socket) -> None:
        """The connection has ended, or is ended."""
        if connection not in self.connections:
            return
        self.watch(connection, sock, 0)
        self.connections.discard(connection)
        uid = connection.caller.uid
        self._counts[uid] -= 1
        if not self._counts[uid]:
            del self._counts[uid]
        connection.close()
        self._gone(connection)

    def rows_held(self, connection: Connection, more: int) -> bool:
        """So many more rows wait for a client; False: its user may not have so many."""
        uid = connection.caller.uid
        before = self._rows[uid]
        if more > 0 and before and before + more > ROWS_A_UID and uid != 0:
            self._audit.limit(connection.caller, "rows", ROWS_A_UID)
            return False
        self._rows[uid] += more
        if not self._rows[uid]:
            del self._rows[uid]
        return True

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            try:
                self._take(sock)
            except OSError:
                # It is gone already.
                sock.close()

    def _take(self, sock: socket.socket) -> None:
        pid, uid, gid = peer.credentials(sock)
        if uid != 0 and self._counts[uid] >= CONNECTIONS_A_UID:
            text = f"uid {uid} has {CONNECTIONS_A_UID} connections, the most that one user may"
            self._refuse(sock, Caller(pid, uid, False), "connections", CONNECTIONS_A_UID, text)
            return
        caller = Caller(pid, uid, peer.is_operator(sock, uid, gid, self._operators))
        most = self.most if caller.operator else self.most - RESERVED
        if len(self.connections) >= most:
            text = f"netiod serves {most:,} connections at once"
            self._refuse(sock, caller, "all-connections", most, text)
            return
        connection = Connection(self, sock, caller)
        self.connections.add(connection)
        self._counts[uid] += 1
        self._selector.register(sock, selectors.EVENT_READ, connection.ready)

    def _late(self, uid: int) -> None:
        self._audit.limit(Caller(0, uid, False), "requests", int(REQUESTS_A_SECOND))

    def _refuse(self, sock: socket.socket, caller: Caller, limit: str, most: int, why: str) -> None:
        self._audit.limit(caller, limit, most)
        with contextlib.closing(sock):
            text = f"{why}: end some, or try again later"
            sock.send(control.encode(control.error(None, Code.LIMIT_REACHED, text)))


def _descriptors() -> int:
    """How many this process may have open, raised as far as that goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft
