"""What netiod tells systemd: sd_notify(3), in datagrams of text to $NOTIFY_SOCKET."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


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

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # What cannot be told is no reason to stop serving.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)
