"""Connections in the broker: how users share the room, and rows that come while they are listed."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from netioctl.wire import layout
from netiod.connections import Connections, fair_share

PID, START = 1234, 99


class Table(dict[bytes, bytes]):
    """Stands for a map of the kernel."""

    def items(self, **_: int) -> Iterator[tuple[bytes, bytes]]:  # type: ignore[override]
        return iter(list(super().items()))

    def delete(self, key: bytes) -> None:
        self.pop(key, None)


def kernel(count: int) -> Any:
    """One that has so many connections of process PID, none of which was announced."""
    structs = layout.load().structs
    fake = SimpleNamespace(
        **{name: structs[name] for name in ("conn", "ident", "unix_names")},
        conns=Table(),
        names=Table(),
        stat=lambda _name: 1,  # some announcements found no room
        key=lambda pid, start: structs["proc_key"].pack(start=start, tgid=pid),
    )
    for number in range(1, count + 1):
        add(fake, number)
    return fake


def add(fake: Any, number: int) -> dict[str, Any]:
    """Another connection, as it is announced."""
    structs = layout.load().structs
    address = (127 << 24 | number).to_bytes(4, "big") + bytes(12)
    ident = structs["ident"].pack(
        start=START, tgid=PID, family=socket.AF_INET, type=2, proto=17, raddr=address
    )
    key = structs["conn_key"].pack(tgid=PID, raddr=address)
    fake.conns[key] = structs["conn"].pack(id=number, sent_bytes=1, last=1000 - number, ident=ident)
    return {"id": number, "key": key, "peer_pid": 0, "ident": ident}


def test_more_are_listed_than_there_should_be() -> None:
    """Taking in what was not announced must not push out what is just being listed."""
    fake = kernel(100)
    connections = Connections(fake, 100, lambda *_: 0)
    rows = list(connections.rows(PID, START))
    assert sum(counters["sent_bytes"] for _, counters in rows) == 100
    # The next one that is announced makes room.
    connections.announced(add(fake, 101))
    assert len(connections) == len(fake.conns) == 60


def test_room_is_made_while_rows_are_listed() -> None:
    fake = kernel(80)
    connections = Connections(fake, 100, lambda *_: 0)
    listing = connections.rows(PID, START)
    seen = list(itertools.islice(listing, 10))
    for number in range(81, 131):
        connections.announced(add(fake, number))
    seen += listing
    assert len(seen) >= 60


@pytest.mark.parametrize(
    ("counts", "room", "share"),
    [
        ([], 10, 0),
        ([4], 10, 4),
        ([40], 10, 10),
        ([3, 40], 10, 7),
        ([40, 3], 10, 7),
        ([40, 40], 10, 5),
        ([1, 2, 30, 40], 10, 3),
        ([2, 3, 5], 10, 5),
        ([9] * 20, 10, 0),
    ],
)
def test_who_has_little_keeps_it(counts: list[int], room: int, share: int) -> None:
    assert fair_share(counts, room) == share
    assert sum(min(count, share) for count in counts) <= room
