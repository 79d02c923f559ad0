"""The two ends of a connection in words."""

from __future__ import annotations

import socket

import pytest

from netioctl.wire import layout
from netioctl.wire.endpoints import describe, unix


def _ident(family: int, kind: int, proto: int, **more: int | bytes) -> bytes:
    record = layout.load().structs["ident"]
    return record.pack(tgid=1234, family=family, type=kind, proto=proto, **more)


def _inet6(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def test_ipv4() -> None:
    ident = _ident(
        socket.AF_INET,
        socket.SOCK_STREAM,
        socket.IPPROTO_TCP,
        lport=45678,
        rport=80,
        laddr=socket.inet_aton("192.168.1.100"),
        raddr=socket.inet_aton("93.184.216.34"),
    )
    assert describe(ident, 0, b"", b"") == (
        1234,
        "inet",
        "tcp",
        "192.168.1.100:45678",
        "93.184.216.34:80",
    )


def test_ipv6_stands_in_brackets() -> None:
    ident = _ident(
        socket.AF_INET6,
        socket.SOCK_DGRAM,
        socket.IPPROTO_UDP,
        lport=443,
        rport=5,
        laddr=_inet6("::1"),
        raddr=_inet6("fe80::1"),
    )
    assert describe(ident, 0, b"", b"")[1:] == ("inet6", "udp", "[::1]:443", "[fe80::1]:5")


def test_a_peer_that_is_not_known_is_none() -> None:
    ident = _ident(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, lport=53)
    assert describe(ident, 0, b"", b"").local == "0.0.0.0:53"
    assert describe(ident, 0, b"", b"").remote is None


@pytest.mark.parametrize(
    ("local", "remote", "peer", "words"),
    [
        (b"/run/a.sock\0junk", b"", 0, ("/run/a.sock", None)),
        (b"", b"\0name", 7, (None, "@name")),
        (b"", b"", 4711, (None, "pid 4711")),
        (b"", b"", 0, (None, None)),
    ],
)
def test_unix(local: bytes, remote: bytes, peer: int, words: tuple[str, str]) -> None:
    ident = _ident(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    known = describe(ident, peer, local, remote)
    assert known[1:3] == ("unix", "stream")
    assert known[3:] == words


@pytest.mark.parametrize(
    ("remote", "peer", "comm", "far"),
    [
        (b"", 4711, b"postgres", "pid 4711 (postgres)"),
        (b"", 4711, b"tmux: server", "pid 4711 (tmux: server)"),
        (b"", 4711, b"a\x1b[31m\n", "pid 4711 (a\\x1b[31m\\x0a)"),
        (b"", 4711, b"\xff\xe2\x80\xae", "pid 4711 (\\xff\\xe2\\x80\\xae)"),
        (b"", 4711, b"curl\0\0junk", "pid 4711 (curl)"),
        (b"", 4711, b"\0junk", "pid 4711"),
        (b"/run/a.sock", 4711, b"postgres", "/run/a.sock"),
        (b"", 0, b"postgres", None),
    ],
)
def test_the_name_of_the_peer(remote: bytes, peer: int, comm: bytes, far: str | None) -> None:
    ident = _ident(socket.AF_UNIX, socket.SOCK_STREAM, 0)
    words = describe(ident, peer, b"", remote, comm)
    assert words.remote == far
    assert far is None or far.isprintable()


@pytest.mark.parametrize(
    ("number", "name"), [(0, "route"), (4, "sock_diag"), (16, "generic"), (77, "netlink77")]
)
def test_netlink_is_named_by_whom_it_speaks_to(number: int, name: str) -> None:
    ident = _ident(socket.AF_NETLINK, socket.SOCK_RAW, number)
    assert describe(ident, 0, b"", b"") == (1234, "netlink", name, None, None)


def test_numbers_without_a_name_stay_numbers() -> None:
    assert describe(_ident(99, 77, 0), 0, b"", b"")[1:3] == ("family99", "type77")
    assert describe(_ident(socket.AF_INET, 1, 250), 0, b"", b"").proto == "proto250"


@pytest.mark.parametrize("raw", [b"/a\x1b[31m", b"/\xff\xfe", b"\0x\ny", b"/\xe2\x80\xaeevil"])
def test_nothing_in_a_name_can_steer_a_terminal(raw: bytes) -> None:
    text = unix(raw)
    assert text is not None
    assert text.isprintable()
