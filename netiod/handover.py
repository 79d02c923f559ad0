"""What the loader hands over: JSON messages with descriptors, over a SOCK_SEQPACKET pair.

{"type":"log","text":…} and one {"type":"error","message":…} or one {"type":"loaded","info":{…},
"fds":[names]}, whose descriptors come with it in that order. The supervisor passes the last on
to the broker, without the links: whoever holds those keeps programs attached.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from netioctl.wire.errors import NetioError, PrerequisiteError, ProtocolError
from netiod import descriptors

#: Names of descriptors that begin so stay with the supervisor.
LINK = "link:"
#: The memory that one broker leaves to the next (ledger.py).
LEDGER = "file:ledger"

_MAX_FDS = 120
_MAX_MESSAGE = 1 << 18
_MAX_TEXT = 16384


@dataclass(frozen=True)
class Log:
    """A text for the log."""

    text: str


@dataclass(frozen=True)
class Failure:
    """Nothing could be loaded; `error` says why."""

    error: NetioError


@dataclass(frozen=True)
class Loaded:
    """What was loaded: facts for `status`, and descriptors by name, owned by who received them."""

    info: dict[str, Any]
    fds: dict[str, int]

    def close(self) -> None:
        """Close every descriptor; without the last link a program is detached."""
        descriptors.close(self.fds.values())
        self.fds.clear()


def send_log(channel: socket.socket, text: str) -> None:
    """Send a text for the log."""
    _send(channel, {"type": "log", "text": text[:_MAX_TEXT]})


def send_error(channel: socket.socket, error: NetioError | str) -> None:
    """Send why nothing was loaded; a PrerequisiteError arrives as one."""
    message = {"type": "error", "message": str(error)[:_MAX_TEXT]}
    if isinstance(error, PrerequisiteError):
        message["kind"] = "prerequisite"
    _send(channel, message)


def send_loaded(channel: socket.socket, info: dict[str, Any], fds: dict[str, int]) -> None:
    """Send facts, and copies of the descriptors."""
    message = {"type": "loaded", "info": info, "fds": list(fds)}
    _send(channel, message, tuple(fds.values()))


def receive(channel: socket.socket) -> Log | Failure | Loaded | None:
    """The next message; None: the other side is gone.

    Raises:
        BlockingIOError: there is none yet.
        ProtocolError: it is none of the three.
    """
    data, fds = descriptors.receive(channel, _MAX_MESSAGE, _MAX_FDS)
    if not data and not fds:
        return None
    try:
        return _understand(json.loads(data), fds)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        descriptors.close(fds)
        raise ProtocolError(f"the loader's message is not understood: {error!r}") from error


def receive_loaded(channel: socket.socket) -> Loaded:
    """Wait for the handover: the first message on the broker's channel.

    Raises:
        ProtocolError: something else came, or the supervisor is gone.
    """
    message = receive(channel)
    if not isinstance(message, Loaded):
        raise ProtocolError("there was no handover from the supervisor")
    return message


def peek_info(channel: socket.socket) -> dict[str, Any]:
    """Wait for the handover and leave it where it is: its facts alone.

    Raises:
        ProtocolError: something else came, or the supervisor is gone.
    """
    data = channel.recv(_MAX_MESSAGE, socket.MSG_PEEK)
    try:
        info: dict[str, Any] = json.loads(data)["info"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError("there was no handover from the supervisor") from error
    return info


def for_broker(loaded: Loaded) -> Loaded:
    """What the broker gets of it: all but the links."""
    fds = {name: fd for name, fd in loaded.fds.items() if not name.startswith(LINK)}
    return Loaded(loaded.info, fds)


def _send(channel: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    data = json.dumps(message, separators=(",", ":")).encode()
    descriptors.send(channel, data, fds)


def _understand(message: dict[str, Any], fds: list[int]) -> Log | Failure | Loaded:
    kind = message["type"]
    if kind == "loaded":
        if len(message["fds"]) != len(fds) or not isinstance(message["info"], dict):
            raise ValueError(f"{len(message['fds'])} names for {len(fds)} descriptors")
        return Loaded(message["info"], dict(zip(message["fds"], fds)))
    if fds:
        raise ValueError(f"descriptors with {kind!r}")
    if kind == "error":
        lacking = message.get("kind") == "prerequisite"
        return Failure((PrerequisiteError if lacking else NetioError)(message["message"]))
    if kind == "log":
        return Log(str(message["text"]))
    raise ValueError(f"type {kind!r}")
