"""Whatever a client sends, each line gets one answer, and the server goes on."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netioctl.wire.errors import RequestError
from netiod.control import Connection
from netiod.requests import Rows
from netiod.server import Server

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
_request = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | _json, "id": st.integers() | _json},
    optional={
        "method": st.sampled_from(["list", "steps", "rows", "error"]) | _json,
        "params": _json,
    },
)
_line = st.binary(max_size=200).map(lambda data: data.replace(b"\n", b""))
_line |= _request.map(lambda message: json.dumps(message).encode())


def _handler(_connection: Connection, ident: Any, method: str, _params: Any) -> Any:
    def steps() -> Any:
        yield
        return {"ident": ident}

    if method == "steps":
        return steps()
    if method == "rows":
        return Rows([{"n": n} for n in range(100)], {"count": 100}, 100)
    if method == "error":
        raise RequestError("no")
    return {}


@settings(max_examples=300, deadline=None)
@given(st.lists(_line, max_size=8), st.lists(st.integers(1, 60), max_size=8))
def test_each_line_gets_one_answer(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind("")
        listener.listen()
        selector = stack.enter_context(selectors.DefaultSelector())
        server = Server(listener, selector, None, _handler, lambda _connection: None)
        stack.callback(server.close)
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(listener.getsockname())

        def turn() -> None:
            for key, events in selector.select(0):
                key.data(events)
            server.turns.round()

        # In pieces, as a stream may come.
        for size in cuts:
            client.sendall(data[:size])
            data = data[size:]
            turn()
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        for _ in range(40):
            turn()
        assert not server.connections
        with client.makefile("rb") as reader:
            answers = [json.loads(line) for line in reader]
    finished = [answer for answer in answers if "method" not in answer]
    assert len(finished) == sum(1 for line in lines if line.strip())
    assert not any(
        a.get("error", {}).get("code") == -32603 and "defect" in str(a) for a in finished
    )
