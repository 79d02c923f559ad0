"""What requests are, and what verbs may answer with."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from netioctl.wire import control
from netioctl.wire.errors import Code, RequestError

#: Characters of a request's id, which each piece of its answer repeats.
_MAX_ID = 128

Object = dict[str, Any]
#: Work that is done in pieces, so that others get their turn between them; returns the result.
Steps = Generator[None, None, Any]


class Later:
    """What a verb returns whose answer comes later: by Connection.answer()."""


class Rows:
    """A long answer: rows, sent in pieces as the client takes them, then the result."""

    def __init__(self, rows: Iterable[Object], result: Object, held: int = 0) -> None:
        """`held`: rows that are in memory until they are sent."""
        self.rows = iter(rows)
        self.result = result
        self.held = held

    def lines(self, ident: Any) -> Iterator[bytes]:
        """The messages, as lines."""
        while piece := list(itertools.islice(self.rows, control.ROWS_A_LINE)):
            yield control.encode(control.notification("rows", {"id": ident, "rows": piece}))
        yield control.encode(control.response(ident, self.result))


def checked(message: Object) -> tuple[Any, str, Object]:
    """(id, method, params) of a request.

    Raises:
        RequestError: it is not a JSON-RPC 2.0 request.
    """
    ident, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RequestError("not a JSON-RPC 2.0 request", Code.INVALID_REQUEST)
    if isinstance(ident, bool) or not isinstance(ident, (int, str)):
        raise RequestError("a request needs an id: a number or a text", Code.INVALID_REQUEST)
    # In bits, for a text of so large a number costs time.
    long = len(ident) > _MAX_ID if isinstance(ident, str) else ident.bit_length() > 3 * _MAX_ID
    if long:
        text = f"an id has at most {_MAX_ID} characters"
        raise RequestError(text, Code.INVALID_REQUEST)
    if not isinstance(params, dict):
        raise RequestError("params must be an object", Code.INVALID_PARAMS)
    return ident, method, params
