"""The control socket's server side, with verbs that a test makes up."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from netiod import control as control_
from netiod import limits, server
from netiod.control import Connection
from netiod.requests import Rows
from netiod.server import Server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        yield listener


def _conversation(listener: socket.socket, handler: Any, request: bytes) -> list[Any]:
    """What a client gets that sends a request and says that no other will follow."""
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as client:
        made = Server(listener, selector, None, handler, lambda _connection: None)
        try:
            client.connect(listener.getsockname())
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            for _ in range(10):
                for key, events in selector.select(0.05):
                    key.data(events)
                made.turns.round()
        finally:
            made.close()
        with client.makefile("rb") as lines:
            return [json.loads(line) for line in lines]


def test_a_verb_may_tell_something_before_it_answers(listener: socket.socket) -> None:
    def verb(connection: Connection, _ident: Any, _method: str, _params: Any) -> Any:
        connection.notify("missed", {"operations": 1})
        return {"published": {}}

    request = b'{"jsonrpc":"2.0","id":1,"method":"sync"}\n'
    told, answer = _conversation(listener, verb, request)
    assert told["method"] == "missed"
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {"published": {}}}


class Running:
    """A server, its loop turned by hand, and clients whose uid a test chooses."""

    def __init__(self, listener: socket.socket, handler: Any, audit: Any = None) -> None:
        self._listener = listener
        self.selector = selectors.DefaultSelector()
        self.gone: list[Connection] = []
        self.server = Server(listener, self.selector, None, handler, self.gone.append, audit)
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(2)
        client.connect(self._listener.getsockname())
        self.clients.append(client)
        return client

    def turn(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            for key, events in self.selector.select(0):
                key.data(events)
            self.server.turns.round()

    def close(self) -> None:
        self.server.close()
        self.selector.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def running(listener: socket.socket) -> Iterator[Any]:
    made: list[Running] = []

    def start(handler: Any, audit: Any = None) -> Running:
        made.append(Running(listener, handler, audit))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def uid(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whose connections those are that are accepted from now on."""
    current = [1000]
    monkeypatch.setattr(server.peer, "credentials", lambda _sock: (7, current[0], current[0]))
    return current


def _answer(client: socket.socket) -> Any:
    return json.loads(client.makefile("rb").readline())


def _list(ident: Any = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": ident, "method": "list"}).encode() + b"\n"


def _echo(_connection: Connection, ident: Any, _method: str, _params: Any) -> Any:
    return {"ident": ident}


def test_connections_of_one_user_are_limited_and_others_connect(
    running: Any, uid: list[int]
) -> None:
    one = running(_echo)
    for _ in range(limits.CONNECTIONS_A_UID):
        one.connect()
        one.turn(1)
    over = one.connect()
    one.turn(3)
    refusal = _answer(over)
    assert refusal["error"]["code"] == -32005
    assert f"{limits.CONNECTIONS_A_UID} connections" in refusal["error"]["message"]
    assert over.recv(1) == b""
    for uid[0] in (1001, 0):
        other = one.connect()
        other.sendall(_list())
        one.turn()
        assert _answer(other)["result"] == {"ident": 1}
    # Who ends one may open one.
    one.clients[0].close()
    uid[0] = 1000
    one.turn()
    again = one.connect()
    again.sendall(_list())
    one.turn()
    assert _answer(again)["result"] == {"ident": 1}


def test_the_last_connections_are_for_operators(running: Any, uid: list[int]) -> None:
    one = running(_echo)
    one.server.most = limits.RESERVED + 2
    for uid[0] in (1000, 1001):
        one.connect()
        one.turn(2)
    uid[0] = 1002
    over = one.connect()
    one.turn(2)
    assert _answer(over)["error"]["code"] == -32005
    uid[0] = 0
    root = one.connect()
    root.sendall(_list())
    one.turn()
    assert "result" in _answer(root)


def test_a_client_over_the_limit_that_is_gone_already_harms_nobody(
    running: Any, uid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_A_UID", 0)
    one = running(_echo)
    one.connect().close()
    one.turn(3)
    assert one.server.connections == set()
    assert uid == [1000]


def test_a_limit_leaves_an_audit_record(
    running: Any, uid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []
    monkeypatch.setattr(server, "CONNECTIONS_A_UID", 0)

    class Audit:
        def limit(self, caller: Any, name: str, most: int) -> None:
            met.append((caller.uid, name, most))

    one = running(_echo, Audit())
    one.connect()
    one.turn(3)
    assert met == [(uid[0], "connections", 0)]


def test_a_long_request_lets_others_have_their_turn(running: Any, uid: list[int]) -> None:
    done = []

    def handler(_connection: Connection, ident: Any, method: str, _params: Any) -> Any:
        def steps() -> Iterator[None]:
            for _ in range(100):
                time.sleep(0.002)
                done.append(ident)
                yield

        return steps() if method == "long" else {"at": len(done)}

    one = running(handler)
    hers = one.connect()
    hers.sendall(b'{"jsonrpc":"2.0","id":"long","method":"long"}\n' * 3)
    one.turn(2)
    uid[0] = 1001
    his = one.connect()
    his.sendall(_list())
    one.turn(4)
    assert _answer(his)["result"]["at"] <= 6
    assert not one.gone


def test_answers_that_nobody_reads_stop_at_a_limit(
    running: Any, uid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_, "ROWS_A_UID", 1000)
    monkeypatch.setattr(server, "ROWS_A_UID", 1000)
    row = {"local": "x" * 200}

    def handler(_connection: Connection, _ident: Any, _method: str, _params: Any) -> Any:
        return Rows([row] * 900, {"count": 900}, 900)

    one = running(handler)
    first = one.connect()
    first.sendall(_list() * 50)
    one.turn(100)
    second = one.connect()
    second.sendall(_list())
    one.turn(5)
    refusal = _answer(second)
    assert refusal["error"]["code"] == -32005
    assert "1,000 rows" in refusal["error"]["message"]
    # Its end frees them.
    first.close()
    one.turn()
    assert one.server._rows.total() == 0
    second.sendall(_list())
    one.turn(100)
    assert _answer(second)["method"] == "rows"
    assert uid == [1000]


@pytest.mark.parametrize("ident", ["x" * 60_000, 10**4000], ids=["text", "number"])
def test_an_id_that_is_long_is_refused(running: Any, uid: list[int], ident: Any) -> None:
    one = running(_echo)
    client = one.connect()
    client.sendall(_list(ident))
    one.turn()
    answer = _answer(client)
    assert answer["id"] is None
    assert answer["error"]["code"] == -32600
    assert uid == [1000]


def test_a_client_that_reads_nothing_costs_no_more_than_its_buffer(
    running: Any, uid: list[int]
) -> None:
    def handler(_connection: Connection, _ident: Any, _method: str, _params: Any) -> Any:
        return {"text": "x" * 10_000}

    one = running(handler)
    client = one.connect()
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while client.send(_list() * 100):
            one.turn(3)
    (connection,) = one.server.connections
    assert connection._out_size < 100_000
    assert len(connection._in) <= 2 * 65536
    # It is idle: nothing turns.
    assert one.server.turns.deadline() is None
    assert uid == [1000]
