"""Every error that netio raises on purpose, in one tree; each carries one line for a person.

NetioError
├── UsageError              the call itself is wrong
├── LayoutError             event.h cannot be understood, or two sides differ in it
├── ConfigError             a setting of the daemon is wrong
├── PrerequisiteError       something that the daemon needs is missing; says the remedy
├── AlreadyRunning          another daemon serves this run directory
├── DaemonUnreachable       no daemon answers at the control socket
│   └── ConnectionLost      it did, and has ended the connection since
├── ProtocolError           the other side speaks something else
└── RequestError            the daemon's answer was an error; .code is one of Code
    ├── NoSuchProcess       there is none, or none that the caller may watch
    ├── NotHeld             it is not attached
    ├── FilterFull          the filter holds as many processes as it can
    ├── VersionMismatch     client and daemon speak different protocol versions
    └── LimitReached        a per-user limit; the message names it
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Error codes on the control socket: those of JSON-RPC 2.0, then netio's own."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    NO_SUCH_PROCESS = -32001
    NOT_HELD = -32002
    FILTER_FULL = -32003
    VERSION_MISMATCH = -32004
    LIMIT_REACHED = -32005


class NetioError(Exception):
    """Base of them all; `str()` is one line that says what is wrong and what to do."""


class UsageError(NetioError):
    """The call itself is wrong."""


class LayoutError(NetioError):
    """event.h cannot be understood, or kernel, daemon and client disagree about it."""


class ConfigError(NetioError):
    """A setting of the daemon is wrong; names it and where it stands."""


class PrerequisiteError(NetioError):
    """Something that the daemon needs is missing; says the remedy."""


class AlreadyRunning(NetioError):
    """Another daemon serves this run directory."""


class NotChosen(NetioError):
    """Nothing is there of what a selector names."""


class DaemonUnreachable(NetioError):
    """No daemon answers at the control socket."""


class ConnectionLost(DaemonUnreachable):
    """The daemon, or the part of it that answers, has ended the connection."""


class ProtocolError(NetioError):
    """The other side speaks something that is not netio's protocol."""


class RequestError(NetioError):
    """The daemon answered a request with an error."""

    code: Code = Code.INTERNAL_ERROR

    def __init__(self, message: str, code: Code | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class NoSuchProcess(RequestError):
    """There is none, or none that the caller may watch: the daemon does not say which."""

    code = Code.NO_SUCH_PROCESS


class NotHeld(RequestError):
    """The process is not attached."""

    code = Code.NOT_HELD


class FilterFull(RequestError):
    """The filter holds as many processes as it can; the message says how many."""

    code = Code.FILTER_FULL


class VersionMismatch(RequestError):
    """Client and daemon speak different versions of the protocol."""

    code = Code.VERSION_MISMATCH


class LimitReached(RequestError):
    """A per-user limit was reached; the message names it."""

    code = Code.LIMIT_REACHED


_BY_CODE: dict[int, type[RequestError]] = {
    int(c.code): c for c in (NoSuchProcess, NotHeld, FilterFull, VersionMismatch, LimitReached)
}


def from_code(code: int, message: str) -> RequestError:
    """The exception for an error object of the control protocol."""
    if code in _BY_CODE:
        return _BY_CODE[code](message)
    known = code in Code.__members__.values()
    return RequestError(message, Code(code) if known else None)
