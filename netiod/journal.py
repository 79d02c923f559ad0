"""Records with fields for systemd's journal: its native protocol, one datagram a record.

See systemd.io/JOURNAL_NATIVE_PROTOCOL. A value is sent with its length before it wherever it holds
a newline, so that no process's name can make a field of its own.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Mapping

#: Where journald listens.
SOCKET = "/run/systemd/journal/socket"
_LENGTH = struct.Struct("<Q")


class JournalHandler(logging.Handler):
    """Sends records to the journal; a record's `fields` (name to value) become NETIO_NAME.

    `fallback` gets the record where the journal cannot be reached, or does not keep up.
    The journal's socket is systemd's own: it is the same one when journald is restarted.
    """

    def __init__(self, fallback: logging.Handler, path: str | None = None) -> None:
        super().__init__()
        self._fallback, self._path = fallback, path or SOCKET
        self._sock: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; never blocks."""
        fields: Mapping[str, object] = getattr(record, "fields", {})
        named = {
            "MESSAGE": self.format(record),
            "PRIORITY": priority(record.levelno),
            "SYSLOG_IDENTIFIER": "netiod",
            **{f"NETIO_{name.upper()}": value for name, value in fields.items()},
        }
        data = b"".join(encode(name, str(value)) for name, value in named.items())
        try:
            self.connect()
            if self._sock is not None:
                self._sock.send(data)
        except OSError:
            self._fallback.handle(record)

    def connect(self) -> None:
        """Open a socket to the journal, unless there is one.

        Raises:
            OSError: there is no journal, or this process may not do so.
        """
        if self._sock is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.connect(self._path)
            except OSError:
                sock.close()
                raise
            self._sock = sock

    def close(self) -> None:
        """Close the socket."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        super().close()


def encode(name: str, value: str) -> bytes:
    """One field as the protocol has it."""
    raw = value.encode("utf-8", "backslashreplace")
    if b"\n" in raw:
        return b"%s\n%s%s\n" % (name.encode(), _LENGTH.pack(len(raw)), raw)
    return b"%s=%s\n" % (name.encode(), raw)


def priority(level: int) -> int:
    """The syslog priority (3 error to 7 debug) of a level of logging."""
    for least, number in ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= least:
            return number
    return 7
