"""Names of hosts and ports: looked up in the background, and never waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from netioctl import resolve
from netioctl.resolve import Named, Names
from netioctl.wire.endpoints import UNKNOWN, Connection

TCP = Connection(1, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:443")
TCP6 = Connection(1, "inet6", "udp", "[::1]:53", "[2001:db8::1]:9")
UNIX = Connection(1, "unix", "stream", "/run/x:80", None)


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_address_stands_until_its_name_is_known() -> None:
    told = threading.Event()
    known = {"93.184.216.34": "www.example", (443, "tcp"): "https", "::1": "localhost"}

    def look_up(key: Any) -> str | None:
        told.wait()
        return known.get(key)

    names = Names(look_up)
    named = Named({1: TCP, 2: TCP6, 3: UNIX}.get, names)  # type: ignore[arg-type]
    assert named(1) == TCP
    assert named(2) == TCP6
    assert names.generation == 0
    told.set()
    _until(lambda: names.generation == 3)
    assert named(1) == TCP._replace(remote="www.example:https")
    assert named(2) == TCP6._replace(local="localhost:53")
    assert named(3) == UNIX


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_WAITING", 5)
    monkeypatch.setattr(resolve, "_MOST", 8)
    go = threading.Event()
    asked = []

    def look_up(key: Any) -> str | None:
        go.wait()
        asked.append(key)
        return None

    names = Names(look_up)
    for n in range(100):
        assert names.get(str(n)) is None
    go.set()
    # None has a name, but there is room again for those that found none.
    _until(lambda: names.generation)
    before = set(asked)
    assert 5 <= len(before) <= 9
    assert len(names._known) <= 8
    _until(lambda: names.get("99") is None and "99" in asked)
    assert asked.count("99") == 1


def test_a_name_does_not_pass_for_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, taken in (
        ("www.example", "www.example"),
        ("10.0.0.1", None),
        ("2001:db8::1", None),
        ("10.0.0.1.example", "10.0.0.1.example"),
    ):
        monkeypatch.setattr(socket, "getnameinfo", lambda *_, name=name: (name, "0"))
        assert resolve.look_up("93.184.216.34") == taken


def test_what_the_system_knows() -> None:
    assert resolve.look_up((443, "tcp")) == "https"
    assert resolve.look_up((1, "udp")) is None
    assert resolve.look_up("127.0.0.1") == resolve.look_up("::ffff:127.0.0.1") == "localhost"
    assert Named(lambda _: UNKNOWN, Names())(0) == UNKNOWN
