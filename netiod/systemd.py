"""What netiod tells systemd, and gives it to keep: sd_notify(3), in datagrams to $NOTIFY_SOCKET."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping

from netiod import descriptors

#: Seconds that systemd may take to read.
_PATIENCE = 2.0


class Notifier:
    """Tells the service manager, where there is one; elsewhere it does nothing.

    Takes its variables out of `environ`, so that no child answers in netiod's name.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        usec = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        meant = bool(address) and usec.isdigit() and pid in ("", str(os.getpid()))
        #: Seconds between two calls of alive(); None: nobody waits for them.
        self.interval = int(usec) / 2e6 if meant and int(usec) else None

    @property
    def there(self) -> bool:
        """Whether a service manager listens."""
        return bool(self._address)

    def store(self, name: str, fd: int) -> None:
        """Have a copy of `fd` kept under `name` (ASCII, no colon, at most 255 bytes); not even an
        error on it makes systemd drop it."""
        self._send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", fd)

    def unstore(self, name: str) -> None:
        """Have the copies of that name dropped."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def ready(self, status: str) -> None:
        """netiod serves; `status` is shown by `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        """A new text for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Not stuck; due every `interval` seconds."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """netiod is about to end."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, text: str, fd: int | None = None) -> None:
        if not self._address:
            return
        # What cannot be told is no reason to stop serving. Descriptors are worth a wait: there
        # are more than a socket's queue has room for.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(0.0 if fd is None else _PATIENCE)
            sock.connect(self._address)
            descriptors.send(sock, text.encode(), () if fd is None else (fd,))
