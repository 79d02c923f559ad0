"""Processes that are gone in a moment: each moves a known number of bytes, and ends.

crowd.py NAME COUNT BYTES [double]: says "ready", waits for a line, then forks COUNT children, one
after the other, each of which takes NAME, sends BYTES and ends; `double`: each through a fork of
its own, which ends before. Ends when all have.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 15, 36


def main() -> None:
    name, count, size = sys.argv[1].encode(), int(sys.argv[2]), int(sys.argv[3])
    double = len(sys.argv) > 4
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # One end each, so that there is one connection a process.
    pairs = [socket.socketpair() for _ in range(count)]
    print("ready", flush=True)
    sys.stdin.readline()
    for ours, _theirs in pairs:
        child = os.fork()
        if child == 0:
            if double and os.fork():
                os._exit(0)
            if name:
                libc.prctl(PR_SET_NAME, name, 0, 0, 0)
            ours.send(b"x" * size)
            os._exit(0)
        if not double:
            os.waitpid(child, 0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    print("done", flush=True)
    sys.stdin.readline()
    for pair in pairs:
        for end in pair:
            end.close()


main()
