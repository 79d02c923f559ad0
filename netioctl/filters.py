"""Which events are shown: by direction, call, size, and by what their connection is.

A filter takes events from whatever has them (a session, a file) and a look-up of connections. It
chooses what is shown, and changes nothing of what is counted.

There is no language of expressions: of the libraries for one, simpleeval takes 6 µs an event and
rule-engine 14, where a filter here takes a third of one, and neither knows networks; what these
options do not say, jq says of --json.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple, Union

from netioctl.render.columns import ByConnection, event_fields
from netioctl.render.words import netid
from netioctl.wire import layout
from netioctl.wire.endpoints import FAMILIES, PROTOS, split
from netioctl.wire.errors import UsageError

if TYPE_CHECKING:
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

Network = Union[IPv4Network, IPv6Network]

#: Functions of libc whose call has another name in the kernel.
_LIBC = {"send": "sendto", "recv": "recvfrom"}
#: Kinds of sockets beside those of IP, as --wide names them; groups of these; and other names.
_KINDS = ("u_str", "u_dgr", "u_seq", "nl", "p_raw", "p_dgr", "v_str", "v_dgr", "v_seq")
_GROUPS = {"unix": "u_", "netlink": "nl", "packet": "p_", "vsock": "v_", "icmpv6": "icmp6"}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Filter(NamedTuple):
    """What an event must have to be shown; None: anything. All must hold, and one of each set.

    `directions` and `calls` are numbers of struct event, `least` is in bytes, `kinds` are those of
    sockets as ss names them (or how they begin, up to a `_`), `ports` are from and to, inclusive;
    `failed`: only what failed.
    """

    directions: frozenset[int] | None = None
    calls: frozenset[int] | None = None
    least: int = 0
    families: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    remotes: tuple[Network, ...] | None = None
    ports: tuple[tuple[int, int], ...] | None = None
    failed: bool = False


EVERYTHING = Filter()


class Chooser:
    """Applies a filter; `lookup` tells the connection of an event's id.

    What is unknown of a connection is nothing that a filter asks for. Call `forget` when `lookup`
    may answer otherwise than before.
    """

    def __init__(self, wanted: Filter, lookup: Callable[[int], Connection]) -> None:
        self._wanted = wanted
        self._fields = event_fields("conn", "bytes", "dir", "call", "error")
        self._record = struct.Struct(f"{layout.load().structs['event'].size}s")
        self._by_connection = ByConnection(lookup, lambda c: _fits(wanted, c))
        self._directions = _table(wanted.directions)
        self._calls = _table(wanted.calls)
        #: Events that were hidden so far.
        self.hidden = 0

    def choose(self, item: Events) -> Events | None:
        """Those of these events that are to be shown; None where there are none."""
        least, ways, calls = self._wanted.least, self._directions, self._calls
        fits, every = self._by_connection, not self._wanted.failed
        chosen = [
            record
            for (record,), (conn, size, dir_, call, error) in zip(
                self._record.iter_unpack(item.data), self._fields.iter_unpack(item.data)
            )
            if (every or error) and size >= least and ways[dir_] and calls[call] and fits[conn]
        ]
        number = len(chosen)
        self.hidden += item.number - number
        if number == item.number:
            return item
        return item._replace(number=number, data=memoryview(b"".join(chosen))) if number else None

    def forget(self) -> None:
        """Look connections up anew."""
        self._by_connection.clear()


def _table(numbers: frozenset[int] | None) -> bytes:
    """By number, 1 for those that are wanted."""
    return bytes(numbers is None or number in numbers for number in range(256))


def _fits(wanted: Filter, connection: Connection) -> bool:
    if wanted.families is not None and connection.family not in wanted.families:
        return False
    if wanted.kinds is not None:
        kind = netid(connection)
        if kind not in wanted.kinds and kind[:2] not in wanted.kinds:
            return False
    if wanted.remotes is None and wanted.ports is None:
        return True
    if connection.family not in ("inet", "inet6"):
        return False
    near, far = (split(end) if end else None for end in (connection.local, connection.remote))
    if wanted.ports is not None:
        ports = [end[1] for end in (near, far) if end]
        if not any(low <= port <= high for port in ports for low, high in wanted.ports):
            return False
    return wanted.remotes is None or (far is not None and _within(far[0], wanted.remotes))


def _within(host: str, networks: Iterable[Network]) -> bool:
    address = ip_address(host)
    # What an IPv6 socket has of IPv4 is both.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(address in each or (mapped is not None and mapped in each) for each in networks)


# --- what is typed; each raises UsageError, in one line ----------------------------------------


def families(words: Sequence[str]) -> frozenset[str] | None:
    """inet, inet6, unix ...; None where there is no word."""
    names = tuple(FAMILIES.values())
    return _chosen(
        "--family", words, lambda word: word in names or _numbered(word, "family"), names
    )


def kinds(words: Sequence[str]) -> frozenset[str] | None:
    """tcp, u_str ... as netid() has them, or unix for all of those; None where there is none."""
    ip = tuple("icmp6" if name == "icmpv6" else name for name in PROTOS.values())
    names = (*ip, *_KINDS)
    found = _chosen(
        "--proto",
        words,
        lambda word: word in names or word in _GROUPS or _numbered(word, "proto"),
        (*names, "unix", "netlink", "packet", "vsock"),
    )
    return None if found is None else frozenset(_GROUPS.get(word, word) for word in found)


def calls(words: Sequence[str]) -> frozenset[int] | None:
    """Numbers of calls by their names in the kernel or in libc; None where there is no word."""
    numbers = {name: number for number, name in layout.load().names("CALL").items()}
    found = _chosen("--call", words, lambda word: word in numbers or word in _LIBC, (*numbers,))
    return None if found is None else frozenset(numbers[_LIBC.get(word, word)] for word in found)


def directions(send: bool, recv: bool) -> frozenset[int] | None:
    """Numbers of directions; both are as good as none."""
    wanted = {"send": send, "recv": recv}
    if send == recv:
        return None
    return frozenset(n for n, name in layout.load().names("DIR").items() if wanted.get(name))


def size(word: str) -> int:
    """Bytes: 1000, 64K, 1M; K is 1,024."""
    found = re.fullmatch(r"(\d{1,12})\s*([KMG]?)(?:i?B)?", word.strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise UsageError(f"--min-bytes: not a number of bytes: {word}; 1000, 64K and 1M are")
    return int(found[1]) * _UNITS[found[2].upper()]


def ports(words: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Numbers, ranges and names of services; None where there is no word."""
    return tuple(port for word in split_words("--port", words) for port in _ports(word)) or None


def remotes(words: Sequence[str]) -> tuple[Network, ...] | None:
    """Addresses, networks, and names of hosts, which are looked up; None where there is no word."""
    return tuple(net for word in split_words("--remote", words) for net in _networks(word)) or None


def split_words(option: str, values: Sequence[str]) -> list[str]:
    """An option may be given several times, and with several words between commas."""
    found = [word.strip() for value in values for word in value.split(",")]
    if not all(found):
        raise UsageError(f"{option}: a word is missing in {','.join(values)!r}")
    return found


def _chosen(
    option: str, values: Sequence[str], known: Callable[[str], bool], names: Iterable[str]
) -> frozenset[str] | None:
    words = [word.lower() for word in split_words(option, values)]
    for word in words:
        if not known(word):
            raise UsageError(f"{option} does not know {word}; it knows {', '.join(names)}")
    return frozenset(words) or None


def _numbered(word: str, prefix: str) -> bool:
    """What has no name is shown by its number."""
    return re.fullmatch(rf"{prefix}\d{{1,5}}", word, re.ASCII) is not None


def _ports(word: str) -> list[tuple[int, int]]:
    if found := re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", word, re.ASCII):
        low = int(found[1])
        high = int(found[2] or low)
        if not 0 < low <= high < 65536:
            raise UsageError(f"--port: ports are 1 to 65535, and ranges rise: {word}")
        return [(low, high)]
    numbers = set()
    for protocol in ("tcp", "udp"):
        try:
            numbers.add(socket.getservbyname(word, protocol))
        except OSError:
            continue
    if not numbers:
        raise UsageError(f"--port: no such service: {word}; 443, 8000-8100 and https are ports")
    return [(number, number) for number in sorted(numbers)]


def _networks(word: str) -> list[Network]:
    try:
        return [ip_network(word.strip("[]").partition("%")[0], strict=False)]
    except ValueError:
        pass
    wrong = f"--remote: not an address, a network or the name of a host: {word}"
    if re.search(r":\d+$", word):
        raise UsageError(f"{wrong}; a port goes to --port")
    # What looks like an address must not be taken for a short form of another.
    if re.search(r"[/:\s]|^[\d.]*$", word):
        raise UsageError(wrong)
    try:
        found = socket.getaddrinfo(word, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it cannot be looked up"
        raise UsageError(f"--remote: no address of {word} is known: {why}") from error
    addresses = {str(entry[4][0]).partition("%")[0] for entry in found}
    return [ip_network(address) for address in sorted(addresses)]
