"""Somebody who only wants an answer: `python3 neighbour.py RUN_DIR SECONDS PID`, as any user.

Asks about its process PID on a connection that stays, and on a new one each time, as netioctl does.
Prints one line of JSON at the end: milliseconds at the median, at 99 % and at most, of both.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time


def _connect(run_dir: str) -> socket.socket:
    # Waits where the queue of connections is full; that counts as time.
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(run_dir, "control.sock"))
    sock.settimeout(10)
    return sock


def _ask(sock: socket.socket, method: str, pid: int) -> None:
    params = {"protocol": 2} if method == "hello" else {"pids": [pid]}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    sock.sendall(json.dumps(message).encode() + b"\n")
    data = b""
    while b'"id":1,"result"' not in data or not data.endswith(b"\n"):
        more = sock.recv(1 << 16)
        if not more or b'"error":' in more:
            raise SystemExit(f"refused: {more[:200]!r}")
        data += more


def _figures(times: list[float]) -> dict[str, float]:
    times.sort()
    at = {"p50": len(times) // 2, "p99": len(times) * 99 // 100, "max": len(times) - 1}
    return {"n": len(times), **{k: round(times[i] * 1000, 2) for k, i in at.items()}}


def main() -> None:
    """Ask until it is time."""
    run_dir, seconds, pid = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    print("ready", flush=True)
    until = time.monotonic() + seconds
    kept: list[float] = []
    new: list[float] = []
    with _connect(run_dir) as sock:
        while time.monotonic() < until:
            for method in ("hello", "summary", "list", "add"):
                began = time.monotonic()
                _ask(sock, method, pid)
                kept.append(time.monotonic() - began)
            began = time.monotonic()
            with _connect(run_dir) as another:
                _ask(another, "hello", pid)
            new.append(time.monotonic() - began)
            time.sleep(0.005)
    print(json.dumps({"kept": _figures(kept), "new": _figures(new)}), flush=True)


if __name__ == "__main__":
    main()
