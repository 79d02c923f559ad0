"""Recordings for tests, of events that nobody sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netioctl.answers import Process, Row, Summary, Totals
from netioctl.recording.replay import Replay
from netioctl.recording.writer import Writer
from netioctl.stream import Events
from netioctl.watching import Item
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection

BEGAN = 1_732_384_245_000_000_000
PID, OTHER = 1234, 1235
SECOND = 1_000_000_000
NAMES = {
    1: Connection(PID, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:80"),
    2: Connection(PID, "inet6", "udp", "[::1]:53", None),
    3: Connection(OTHER, "unix", "stream", "/run/x.sock", "pid 7 (cron)"),
}


def process(pid: int = PID, comm: str = "curl") -> Process:
    return Process(pid, pid * 100, comm, 0, BEGAN / 1e9, f"pid.{pid}.", None, True, pid * 1000)


def events(
    number: int,
    pid: int = PID,
    *,
    begin: int = 0,
    every: int = 1_000_000,
    comm: str = "curl",
    **fields: int,
) -> Events:
    """Events `every` ns from each other, the first `begin` ns after BEGAN."""
    record = layout.load().structs["event"]
    values = {"tgid": pid, "tid": pid, "conn": 1, "bytes": 100, "call": 10, **fields}
    data = b"".join(record.pack(**{"time": begin + at * every, **values}) for at in range(number))
    return Events(pid, comm, BEGAN, number, memoryview(data))


def summary(sent: int, operations: int, until: float = 0.0) -> Summary:
    total = Totals(sent, 0, operations, 0)
    row = Row(PID, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:80", total)
    return Summary(total, (row,), (process(),), (), True, BEGAN / 1e9, until or BEGAN / 1e9 + 60)


def write(path: Path, *reads: list[Item], end: Summary | None = None, **more: Any) -> Path:
    """A recording of what a session read, each in a block of its own."""
    writer = Writer(str(path), lambda ident: NAMES.get(ident, UNKNOWN), **more)
    writer.processes((process(), process(OTHER, "nginx")))
    for items in reads:
        writer.add(items, 0)
        writer.flush()
    writer.close(end)
    return path


def everything(replay: Replay) -> list[Item]:
    """All that a replay reads; data as bytes, so that it can be compared."""
    found: list[Item] = []
    while not replay.ended:
        found += replay.read()
    return [
        each._replace(data=bytes(each.data)) if isinstance(each, Events) else each  # type: ignore[arg-type]
        for each in found
    ]


def plain(items: list[Item]) -> list[Item]:
    """What was written, in the form of everything()."""
    return [
        each._replace(data=bytes(each.data)) if isinstance(each, Events) else each  # type: ignore[arg-type]
        for each in items
    ]


def count(items: list[Item]) -> int:
    return sum(each.number for each in items if isinstance(each, Events))
