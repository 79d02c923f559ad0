"""Somebody who means harm: `python3 abuser.py KIND RUN_DIR SECONDS`, run as any user.

Prints one line of JSON at the end: what it did. It knows nothing of netio's modules, and goes on
whatever the daemon does to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

#: Connections that are tried, whatever the limits are.
MANY = 2000


def _control(run_dir: str) -> str:
    return os.path.join(run_dir, "control.sock")


def _gate(run_dir: str) -> str:
    return os.path.join(run_dir, f"gate-{os.getuid()}.sock")


def _connect(path: str) -> socket.socket | None:
    """A connection that does not block; None: there is none now."""
    try:
        sock = socket.socket(socket.AF_UNIX)
    except OSError:
        return None
    sock.setblocking(False)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return sock


def _request(method: str, ident: Any = 1, **params: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    return json.dumps(message).encode() + b"\n"


def _left_open(path: str, until: float) -> dict[str, int]:
    """As many connections as there may be, left; those that are refused are tried again."""
    held: list[socket.socket] = []
    tried = most = 0
    while time.monotonic() < until:
        while len(held) < MANY:
            sock = _connect(path)
            tried += 1
            if sock is None:
                break
            held.append(sock)
        most = max(most, len(held))
        for sock in held[-200:]:
            with contextlib.suppress(OSError):
                if len(sock.recv(4096)) >= 0 and not sock.recv(1):
                    held.remove(sock)
                    sock.close()
        time.sleep(0.001)
    return {"tried": tried, "most": most}


def _flood(
    path: str, until: float, connections: int, data: Callable[[], bytes], read: bool
) -> dict[str, int]:
    """Send what `data` gives on several connections, as fast as it is taken."""
    socks: list[socket.socket] = []
    left: dict[socket.socket, bytes] = {}
    sent = received = again = 0
    while time.monotonic() < until:
        while len(socks) < connections:
            sock = _connect(path)
            if sock is None:
                break
            again += 1
            socks.append(sock)
            left[sock] = b""
        ready = select.select(socks if read else [], socks, [], 0.01)
        for sock in ready[0]:
            try:
                got = sock.recv(1 << 18)
            except OSError:
                got = b""
            received += got.count(b"\n")
            if not got:
                socks.remove(sock)
                sock.close()
        for sock in ready[1]:
            if sock not in socks:
                continue
            try:
                if not left[sock]:
                    left[sock] = data()
                    sent += left[sock].count(b"\n")
                left[sock] = left[sock][sock.send(left[sock]) :]
            except BlockingIOError:
                pass
            except OSError:
                socks.remove(sock)
                sock.close()
    return {"sent": sent, "answers": received, "connections": again}


def connections(run_dir: str, until: float) -> dict[str, int]:
    """2,000 connections to the control socket, left open."""
    return _left_open(_control(run_dir), until)


def requests(run_dir: str, until: float) -> dict[str, int]:
    """As many small requests as are taken."""
    one = b"".join(_request(method) for method in ("hello", "list", "status")) * 100
    return _flood(_control(run_dir), until, 32, lambda: one, read=True)


def many_pids(run_dir: str, until: float) -> dict[str, int]:
    """Requests with 256 processes each: others', and such that there are not."""
    verbs = ("watch", "add", "summary", "remove")
    own = [os.getpid(), os.getppid()]
    pids = [*own, 1, *range(4_194_304 - 252, 4_194_304)]
    data = b"".join(_request(verb, pids=pids) for verb in verbs)
    return _flood(_control(run_dir), until, 32, lambda: data, read=True)


def sizes(run_dir: str, until: float) -> dict[str, int]:
    """Lines of any size, up to some that are too long by far."""
    dice = random.Random(1)

    def line() -> bytes:
        size = dice.choice((0, 1, 100, 65_000, 65_535, 65_536, 65_537, 300_000))
        return b'{"jsonrpc":"2.0","id":1,"method":"list","pad":"'.ljust(size, b"x") + b'"}\n'

    return _flood(_control(run_dir), until, 32, line, read=True)


def half(run_dir: str, until: float) -> dict[str, int]:
    """Most of a long request, and never its end."""
    data = (b'{"jsonrpc":"2.0","id":1,"pad":"' + b"x" * 65_000).ljust(65_500, b"x")
    held = []
    for _ in range(MANY):
        sock = _connect(_control(run_dir))
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.send(data)
            held.append(sock)
    time.sleep(max(0.0, until - time.monotonic()))
    return {"connections": len(held)}


def unread(run_dir: str, until: float) -> dict[str, int]:
    """Requests whose answers nobody reads."""
    data = b"".join(_request(method, "x" * 100) for method in ("list", "status", "nonsense")) * 50
    return _flood(_control(run_dir), until, 100, lambda: data, read=False)


def noise(run_dir: str, until: float) -> dict[str, int]:
    """Random bytes, and requests that were changed at random."""
    dice = random.Random(2)
    good = [_request("watch", pids=[1, 2, 3]), _request("list"), _request("hello", protocol=1)]

    def line() -> bytes:
        data = bytearray(dice.choice(good) if dice.random() < 0.8 else dice.randbytes(200))
        for _ in range(dice.randrange(4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data) + b"\n"

    return _flood(_control(run_dir), until, 16, lambda: b"".join(line() for _ in range(50)), True)


def gate_connections(run_dir: str, until: float) -> dict[str, int]:
    """2,000 connections to the own gate, left open."""
    return _left_open(_gate(run_dir), until)


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL".ljust(54, b"\0")
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"


def _spoken(run_dir: str, until: float) -> Iterator[socket.socket]:
    """Connections to the own gate that have spoken ZMTP's beginning, until it is time."""
    while time.monotonic() < until:
        sock = _connect(_gate(run_dir))
        if sock is None:
            time.sleep(0.05)
            continue
        with sock:
            sock.settimeout(0.5)
            with contextlib.suppress(OSError):
                sock.sendall(GREETING + READY)
                yield sock


def gate_subscriptions(run_dir: str, until: float) -> dict[str, int]:
    """A million subscriptions and more."""
    count = rounds = 0
    for sock in _spoken(run_dir, until):
        rounds += 1
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                topics = (b"\x01%d.%d" % (count + n, os.getpid()) for n in range(1000))
                sock.sendall(b"".join(b"\x00%c%s" % (len(t), t) for t in topics))
                count += 1000
    return {"subscriptions": count, "connections": rounds}


def gate_multipart(run_dir: str, until: float) -> dict[str, int]:
    """A message whose parts never end."""
    count = rounds = 0
    for sock in _spoken(run_dir, until):
        rounds += 1
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                sock.sendall((b"\x01\xff" + b"x" * 255) * 500)
                count += 500
    return {"parts": count, "connections": rounds}


def gate_noise(run_dir: str, until: float) -> dict[str, int]:
    """Frames of absurd lengths, unknown commands, rubbish."""
    dice = random.Random(3)
    rounds = 0
    for sock in _spoken(run_dir, until):
        rounds += 1
        rubbish = (
            b"\x02" + b"\x7f" + b"\xff" * 7,
            b"\x06" + bytes(7) + b"\x10" + b"\x04PING" + dice.randbytes(11),
            b"\x04\x05\x04PONG",
            b"\x04\x03\x02NO",
            dice.randbytes(400),
            b"\x00\x01\x01" * 300 + b"\x00\x01\x00" * 301,
        )
        with contextlib.suppress(OSError):
            sock.sendall(dice.choice(rubbish))
            sock.recv(100)
    return {"connections": rounds}


KINDS: dict[str, Callable[[str, float], dict[str, int]]] = {
    "connections": connections,
    "requests": requests,
    "many-pids": many_pids,
    "sizes": sizes,
    "half": half,
    "unread": unread,
    "noise": noise,
    "gate-connections": gate_connections,
    "gate-subscriptions": gate_subscriptions,
    "gate-multipart": gate_multipart,
    "gate-noise": gate_noise,
}


def main() -> None:
    """Do it."""
    kind, run_dir, seconds = sys.argv[1:]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * MANY), hard))
    print("ready", flush=True)
    print(json.dumps(KINDS[kind](run_dir, time.monotonic() + float(seconds))), flush=True)


if __name__ == "__main__":
    main()
