"""A small HTTP server and client on loopback: what ``./netio run`` watches without a PID.

Run as ``python3 -m netioctl.demo``. The first line on stdout is ``SERVER_PID CLIENT_PID``. The
two talk over 127.0.0.1 and, where it is there, [::1], on ephemeral ports, two requests a second
on each, until this process is told to end, its parent ends, or ten minutes are over. Under sudo
they run as the user who called sudo, so that this user may watch them too.
"""

from __future__ import annotations

import ctypes
import http.client
import itertools
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

LIFETIME_S = 600
REQUEST_INTERVAL_S = 0.5
BODY_BYTES = (2_048, 8_192, 20_480)

# prctl(2)
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15


def main() -> int:
    """Run the two processes until told to end; the exit status, 1 if one of them failed."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(LIFETIME_S)
    _die_with(os.getppid())
    children: list[int] = []
    try:
        listeners = _listeners()
        addresses = [listener.getsockname() for listener in listeners]
        server = _spawn("demo-server", lambda: _serve(listeners))
        children.append(server)
        for listener in listeners:
            listener.close()
        client = _spawn("demo-client", lambda: _request(addresses))
        children.append(client)
        print(server, client, flush=True)
        ended, _ = os.wait()
        children.remove(ended)
        name = "server" if ended == server else "client"
        print(f"netio: the demo's {name} (PID {ended}) ended by itself", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, _Ended):
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


class _Ended(Exception):
    """This process was told to end, or its time is over."""


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended


def _listeners() -> list[socket.socket]:
    """Listening TCP sockets on ephemeral ports: IPv4's and, if this host has it, IPv6's."""
    listeners = [socket.create_server(("127.0.0.1", 0))]
    try:
        listeners.append(socket.create_server(("::1", 0), family=socket.AF_INET6))
    except OSError as error:
        reason = error.strerror or error
        print(f"netio: no IPv6 on loopback ({reason}): the demo runs on IPv4", file=sys.stderr)
    return listeners


def _spawn(name: str, body: Callable[[], object]) -> int:
    """Fork a process with the given COMM (at most 15 bytes) that runs `body`; its PID."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us
        _become_caller()
        _prctl(PR_SET_NAME, name.encode())
        _die_with(parent)
        body()
        status = 0
    except OSError as error:
        print(f"netio: {name}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _become_caller() -> None:
    """Under sudo, become the user who called it, for good."""
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not (uid.isdecimal() and gid.isdecimal()):
        return
    os.setgroups([])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))
    # A change of user makes /proc/PID root's, as if the process were still privileged.
    _prctl(PR_SET_DUMPABLE, 1)


def _die_with(parent: int) -> None:
    """Have the kernel end this process by SIGTERM when its parent ends, even if by SIGKILL."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGTERM)


def _prctl(option: int, argument: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


class _Handler(BaseHTTPRequestHandler):
    """Answers each GET with a body whose size follows from the number in its path."""

    protocol_version = "HTTP/1.1"  # keep-alive: a few connections, each with many requests

    def do_GET(self) -> None:
        number = self.path.lstrip("/")
        body = b"x" * BODY_BYTES[int(number) % len(BODY_BYTES) if number.isdecimal() else 0]
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the screen is for what netio shows."""


def _serve(listeners: Sequence[socket.socket]) -> None:
    threads = []
    for listener in listeners:
        server = ThreadingHTTPServer(("", 0), _Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        threads.append(threading.Thread(target=server.serve_forever))
        threads[-1].start()
    for thread in threads:
        thread.join()


def _request(addresses: Sequence[tuple[str, int]]) -> None:
    connections = [
        http.client.HTTPConnection(address[0], address[1], timeout=10) for address in addresses
    ]
    for number in itertools.count():
        for connection in connections:
            connection.request("GET", f"/{number}")
            connection.getresponse().read()
        time.sleep(REQUEST_INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main())
