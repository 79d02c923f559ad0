"""The control socket's server side, with verbs that a test makes up."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from netiod.control import Connection, Server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        yield listener


def _conversation(listener: socket.socket, handler: Any, request: bytes) -> list[Any]:
    """What a client gets that sends a request and says that no other will follow."""
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as client:
        server = Server(listener, selector, None, handler, lambda _connection: None)
        try:
            client.connect(listener.getsockname())
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            for _ in range(10):
                for key, events in selector.select(0.05):
                    key.data(events)
        finally:
            server.close()
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
