"""Messages of the control socket: JSON-RPC 2.0, one object a line. See PROTOCOL.md section 1."""

from __future__ import annotations

import json
from typing import Any

from netioctl.wire.errors import Code, ProtocolError

#: Largest line in either direction, in bytes, newline included.
MAX_LINE = 65536
#: Most PIDs in one request, and the largest PID that Linux can give.
MAX_PIDS_A_REQUEST = 256
MAX_PID = 4_194_304
#: Most ids of connections in one request.
MAX_IDS_A_REQUEST = 4096
#: Rows in one `rows` notification, few enough to fit MAX_LINE with the longest names.
ROWS_A_LINE = 48
#: The name of the control socket below the run directory.
SOCKET_NAME = "control.sock"
DEFAULT_RUN_DIR = "/run/netio"

Object = dict[str, Any]


def encode(message: Object) -> bytes:
    """One message as a line. Control and non-ASCII characters are escaped by JSON itself."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def request(ident: int, method: str, params: Object | None = None) -> Object:
    """A request object."""
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params or {}}


def response(ident: Any, result: Any) -> Object:
    """The answer to request `ident`."""
    return {"jsonrpc": "2.0", "id": ident, "result": result}


def error(ident: Any, code: Code, message: str) -> Object:
    """The error answer to request `ident` (None where it could not be read)."""
    return {"jsonrpc": "2.0", "id": ident, "error": {"code": int(code), "message": message}}


def notification(method: str, params: Object) -> Object:
    """A message that awaits no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def decode(line: bytes) -> Object:
    """The object in a line.

    Raises:
        ProtocolError: it is not UTF-8, not JSON, nested too deep, or not an object.
    """
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not a line of UTF-8 JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("not a JSON object")
    return message
