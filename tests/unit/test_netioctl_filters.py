"""Which events a filter lets pass, and what of what is typed is refused."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest

from netioctl import filters
from netioctl.filters import Chooser, Filter
from netioctl.stream import Events
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import UsageError

EVENT = layout.load().structs["event"]
CONNECTIONS = {
    1: Connection(7, "inet", "tcp", "10.0.0.1:45678", "93.184.216.34:443"),
    2: Connection(7, "inet6", "udp", "[::1]:53", "[2001:db8::1]:40000"),
    3: Connection(7, "inet6", "tcp", "[::ffff:10.0.0.1]:8080", "[::ffff:192.168.7.7]:50000"),
    4: Connection(7, "unix", "stream", None, "/run/x.sock"),
    5: Connection(7, "netlink", "route", None, None),
    6: Connection(7, "inet", "udp", "0.0.0.0:68", None),
    7: Connection(7, "inet6", "icmpv6", "[::1]:0", "[::1]:0"),
}
SENDTO, RECVFROM, SENDMSG = 10, 4, 11


def _item(*events: dict[str, int]) -> Events:
    data = b"".join(EVENT.pack(**{"time": n, "bytes": 1, **e}) for n, e in enumerate(events))
    return Events(7, "x", 5, len(events), memoryview(data))


def _passed(wanted: Filter) -> list[int]:
    """The connections of which an event passes; 9 has none that is known."""
    item = _item(*({"conn": n} for n in (*CONNECTIONS, 9, 0)))
    chooser = Chooser(wanted, lambda conn: CONNECTIONS.get(conn, UNKNOWN))
    chosen = chooser.choose(item)
    passed = [] if chosen is None else [row["conn"] for row in _rows(chosen)]
    assert chooser.hidden == item.number - len(passed)
    return passed


def _rows(item: Events) -> list[dict[str, Any]]:
    rows = [EVENT.unpack(item.data, at) for at in range(0, len(item.data), EVENT.size)]
    assert len(rows) == item.number
    return rows


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({"families": filters.families(["inet,unix"])}, [1, 4, 6]),
        ({"families": filters.families(["INET6", "netlink"])}, [2, 3, 5, 7]),
        ({"kinds": filters.kinds(["tcp", "u_str"])}, [1, 3, 4]),
        ({"kinds": filters.kinds(["unix"])}, [4]),
        ({"kinds": filters.kinds(["netlink,icmp6"])}, [5, 7]),
        ({"kinds": filters.kinds(["icmpv6"])}, [7]),
        ({"ports": filters.ports(["443"])}, [1]),
        ({"ports": filters.ports(["40000-50000", "68"])}, [1, 2, 3, 6]),
        ({"ports": filters.ports(["domain"])}, [2]),
        ({"remotes": filters.remotes(["93.184.0.0/16"])}, [1]),
        ({"remotes": filters.remotes(["93.184.216.34,[2001:db8::1]"])}, [1, 2]),
        ({"remotes": filters.remotes(["2001:db8::/32"])}, [2]),
        # A socket of IPv6 that talks IPv4, by either of its names.
        ({"remotes": filters.remotes(["192.168.0.0/16"])}, [3]),
        ({"remotes": filters.remotes(["::ffff:192.168.7.7"])}, [3]),
        ({"remotes": filters.remotes(["192.168.7.7"]), "ports": filters.ports(["443"])}, []),
        ({"families": filters.families(["inet6"]), "kinds": filters.kinds(["tcp"])}, [3]),
    ],
)
def test_what_passes_by_its_connection(given: dict[str, Any], passed: list[int]) -> None:
    assert _passed(Filter(**given)) == passed


def test_what_passes_by_itself() -> None:
    events = [
        {"dir": dir_, "call": call, "bytes": size}
        for dir_, call in ((0, SENDTO), (0, SENDMSG), (1, RECVFROM))
        for size in (1023, 1024)
    ]

    def passed(wanted: Filter) -> list[int]:
        chosen = Chooser(wanted, lambda _: UNKNOWN).choose(_item(*events))
        return [] if chosen is None else [row["time"] for row in _rows(chosen)]

    assert passed(Filter(filters.directions(True, False))) == [0, 1, 2, 3]
    assert passed(Filter(filters.directions(False, True))) == [4, 5]
    assert filters.directions(True, True) is None
    assert passed(Filter(calls=filters.calls(["send", "recvfrom"]))) == [0, 1, 4, 5]
    assert passed(Filter(least=filters.size("1K"))) == [1, 3, 5]
    both = Filter(filters.directions(True, False), filters.calls(["recvfrom"]))
    assert passed(both) == []
    assert passed(filters.EVERYTHING) == [0, 1, 2, 3, 4, 5]


def test_a_connection_is_judged_once_until_it_may_be_another() -> None:
    asked: list[int] = []
    known: dict[int, Connection] = {}

    def lookup(conn: int) -> Connection:
        asked.append(conn)
        return known.get(conn, UNKNOWN)

    chooser = Chooser(Filter(families=frozenset(["inet"])), lookup)
    item = _item({"conn": 1}, {"conn": 1}, {"conn": 1})
    assert chooser.choose(item) is None
    known.update(CONNECTIONS)
    # What was not known is asked for again.
    assert chooser.choose(item) == item
    asked.clear()
    chooser.choose(item)
    assert not asked
    known[1] = CONNECTIONS[4]
    chooser.forget()
    assert chooser.choose(item) is None
    assert asked == [1]


def test_a_name_is_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "db.example"
        return [(0, 0, 0, "", (address, 0)) for address in ("10.1.1.1", "fe80::1%eth0")]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert filters.remotes(["db.example"]) == (ip_network("10.1.1.1"), ip_network("fe80::1"))


@pytest.mark.parametrize(
    ("parse", "words", "message"),
    [
        (filters.families, ["ipv4"], "--family does not know ipv4; it knows unix, inet, inet6, "),
        (filters.families, ["inet,,unix"], "--family: a word is missing"),
        (filters.kinds, ["stream"], "--proto does not know stream; it knows icmp, tcp, udp, "),
        (filters.calls, ["sendfiles"], "--call does not know sendfiles; it knows unknown, read, "),
        (filters.ports, ["0"], "--port: ports are 1 to 65535, and ranges rise: 0"),
        (filters.ports, ["90-80"], "--port: ports are 1 to 65535, and ranges rise: 90-80"),
        (filters.ports, ["65536"], "--port: ports are 1 to 65535"),
        (filters.ports, ["no-such-service"], "--port: no such service: no-such-service; 443, "),
        (filters.remotes, ["10.0.0.0/33"], "--remote: not an address, a network or the name"),
        (filters.remotes, ["10.1"], "--remote: not an address, a network or the name"),
        (filters.remotes, ["10.0.0.1:80"], "10.0.0.1:80; a port goes to --port"),
        (filters.remotes, ["nowhere.invalid"], "--remote: no address of nowhere.invalid is known"),
        (filters.remotes, ["x" * 70 + ".example"], "--remote: no address of xxx"),
        (filters.size, "1T", "--min-bytes: not a number of bytes: 1T; 1000, 64K and 1M are"),
        (filters.size, "-1", "--min-bytes: not a number of bytes: -1"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    parse: Any, words: Sequence[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def unknown(host: str, *more: Any, **named: Any) -> Any:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError) as error:
        parse(words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "size"), [("0", 0), ("1000", 1000), ("64k", 65536), ("1M", 1 << 20), ("2GiB", 2 << 30)]
)
def test_sizes(word: str, size: int) -> None:
    assert filters.size(word) == size
