"""What `watch --wide` prints: every column, and nothing cut."""

from __future__ import annotations

import time

import pytest

from netioctl.render.json_events import JsonEvents
from netioctl.render.wide_events import WideEvents
from netioctl.render.words import netid
from netioctl.stream import Events, Lost
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection

EVENT = layout.load().structs["event"]
CALLS = layout.load().names("CALL")
TCP = Connection(1234, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:80")
UNIX = Connection(1234, "unix", "seqpacket", None, "pid 4711 (postgres)")
SENDTO, RECVFROM, IO_URING = 10, 4, 16
HEADER = (
    "TIME            DIR  PID     TID     COMM            CALL       PROTO            BYTES "
    "CONNECTION"
)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def _lookup(conn: int) -> Connection:
    return {1: TCP, 2: UNIX}.get(conn, UNKNOWN)


def _event(**changes: int) -> bytes:
    fields = {"time": 1732401045_123456789, "tgid": 1234, "tid": 1235, "conn": 1, "bytes": 512}
    return EVENT.pack(**{**fields, "call": SENDTO, **changes})


def _draw(*events: bytes, comm: str = "curl", offset: int = 0, pid: int = 1234) -> list[str]:
    items = Events(pid, comm, offset, len(events), memoryview(b"".join(events)))
    drawer = WideEvents(_lookup)
    text = drawer.begin(20) + drawer.events(items, 20)
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def test_wide_is_what_the_manual_shows() -> None:
    assert _draw(
        _event(),
        _event(dir=1, call=RECVFROM, bytes=65536, tid=4194304, time=1732401045_000000999),
        _event(conn=2, call=IO_URING, bytes=(1 << 32) - 1),
        _event(conn=0, call=0, bytes=1),
    ) == [
        HEADER,
        "22:30:45.123456 SEND 1234    1235    curl            sendto     tcp                512 "
        "192.168.1.100:45678 -> 93.184.216.34:80",
        "22:30:45.000000 RECV 1234    4194304 curl            recvfrom   tcp             65,536 "
        "192.168.1.100:45678 -> 93.184.216.34:80",
        "22:30:45.123456 SEND 1234    1235    curl            io_uring   u_seq    4,294,967,295 "
        "* -> pid 4711 (postgres)",
        "22:30:45.123456 SEND 1234    1235    curl            -          -                    1 "
        "* -> *",
    ]


def test_the_header_fits_the_widest_rows() -> None:
    at = HEADER.index("CONNECTION")
    ends = [HEADER.index(name) for name in ("DIR", "PID", "TID", "COMM", "CALL", "PROTO")]
    for call, name in CALLS.items():
        line = _draw(
            _event(tid=4194304, call=call, bytes=(1 << 32) - 1, tgid=4194304),
            comm="x" * 15,
            pid=4194304,
        )[1]
        assert line[at - 1 :] == " 192.168.1.100:45678 -> 93.184.216.34:80"
        assert all(line[end - 1] == " " != line[end] for end in ends)
        shown = "-" if name == "unknown" else name
        assert line[HEADER.index("CALL") : HEADER.index("PROTO")].rstrip() == shown


def test_calls_are_named_as_in_json() -> None:
    events = [_event(call=call) for call in (*CALLS, 250)]
    data = Events(1234, "curl", 0, len(events), memoryview(b"".join(events)))
    for line, objects in zip(
        _draw(*events)[1:], JsonEvents(_lookup).events(data, None).splitlines()
    ):
        call = line.split()[5]
        assert f'"call":"{call}"' in objects if call != "-" else '"call":null' in objects


def test_microseconds_are_those_of_the_wall_clock() -> None:
    # Monotonic time just before a second of its own, the sum just after one of the wall's.
    line = _draw(_event(time=999_999_999), offset=3_600_000_001_001)[1]
    assert line.startswith("01:00:01.000001 ")
    line = _draw(_event(time=5), offset=3_600_000_000_000)[1]
    assert line.startswith("01:00:00.000000 ")


@pytest.mark.parametrize(
    ("family", "proto", "name"),
    [
        ("inet", "tcp", "tcp"),
        ("inet6", "udp", "udp"),
        ("inet", "udplite", "udplite"),
        ("inet", "icmp", "icmp"),
        ("inet6", "icmpv6", "icmp6"),
        ("inet", "raw", "raw"),
        ("inet6", "mptcp", "mptcp"),
        ("inet", "proto250", "proto250"),
        ("unix", "stream", "u_str"),
        ("unix", "dgram", "u_dgr"),
        ("unix", "seqpacket", "u_seq"),
        ("packet", "raw", "p_raw"),
        ("packet", "dgram", "p_dgr"),
        ("vsock", "stream", "v_str"),
        ("netlink", "route", "nl"),
        ("family38", "seqpacket", "family38"),
        (None, None, "-"),
    ],
)
def test_protocols_are_named_as_ss_does(family: str | None, proto: str | None, name: str) -> None:
    assert netid(Connection(1, family, proto, None, None)) == name


def test_each_thread_and_direction_has_its_own_text() -> None:
    lines = _draw(*(_event(tid=tid, dir=tid % 2) for tid in range(1, 50)))[1:]
    seen = [(line.split()[1], line.split()[3]) for line in lines]
    assert seen == [("SEND" if tid % 2 == 0 else "RECV", str(tid)) for tid in range(1, 50)]


def test_a_connection_that_becomes_known_is_shown_with_its_protocol() -> None:
    known = {1: UNKNOWN}
    drawer = WideEvents(known.__getitem__)
    data = Events(1234, "curl", 0, 1, memoryview(_event()))
    assert " sendto     -  " in drawer.events(data, None)
    known[1] = TCP
    assert " sendto     tcp  " in drawer.events(data, None)
    known[1] = TCP._replace(proto="mptcp", remote="10.0.0.1:1")
    drawer.forget()
    assert " mptcp " in drawer.events(data, None)
    assert drawer.events(data, None).endswith("-> 10.0.0.1:1\n")


@pytest.mark.parametrize("comm", ["\x1b[2J", "a\nb", "\x00", "\x9b31m", "\u202e"])
def test_no_name_steers_the_terminal_or_breaks_a_line(comm: str) -> None:
    header, line = _draw(_event(), comm=comm)
    assert (header + line).isprintable()


def test_what_is_missing_is_told_as_elsewhere() -> None:
    drawer = WideEvents(_lookup)
    assert drawer.lost(Lost(1, 1204, "kernel")) == "-- 1,204 events lost (kernel buffer) --\n"
    assert drawer.missed(12).startswith("-- 12 operations escaped the kernel's hooks: ")
