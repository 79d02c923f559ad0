"""Audit records: their text, their fields for the journal, and their rate."""

from __future__ import annotations

import logging
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netiod import audit, journal, logs
from netiod.audit import Audit
from netiod.policy import Caller

ALICE, BOB = Caller(77, 1000, False), Caller(78, 1001, False)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket in the place of the journal's."""
    path = tmp_path / "journal"
    monkeypatch.setattr(journal, "SOCKET", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(0.1)
        yield sock


@pytest.fixture
def as_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """stderr goes to a file that systemd says is the journal's."""
    path = tmp_path / "stderr"
    with path.open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        found = path.stat()
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        logs.configure(verbose=False)
        yield path
    monkeypatch.undo()
    logs.configure(verbose=False)


def parse(data: bytes) -> dict[str, str]:
    """A datagram as journald reads it."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            name, (size,) = line, struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


def test_a_record_has_fields_in_the_journal(journald: socket.socket, as_service: Path) -> None:
    Audit().attach(ALICE, 4711, "curl", "watch")
    assert parse(journald.recv(4096)) == {
        "MESSAGE": "attach uid=1000 client_pid=77 pid=4711 comm=curl how=watch",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "netiod",
        "NETIO_ACTION": "attach",
        "NETIO_UID": "1000",
        "NETIO_CLIENT_PID": "77",
        "NETIO_PID": "4711",
        "NETIO_COMM": "curl",
        "NETIO_HOW": "watch",
    }
    assert as_service.read_text() == ""


@pytest.mark.parametrize("comm", ["a\nNETIO_UID=0", "a\n\x1b[2J", "\n", "x' uid=0", "\udcff"])
def test_a_name_forges_neither_a_field_nor_a_line(
    comm: str, journald: socket.socket, as_service: Path
) -> None:
    Audit().detach(ALICE, 4711, comm, "left")
    fields = parse(journald.recv(4096))
    assert fields["NETIO_UID"] == "1000"
    assert fields["NETIO_COMM"] == comm.encode("utf-8", "backslashreplace").decode()
    assert fields["MESSAGE"].isprintable()
    assert len(fields) == 9
    assert as_service.read_text() == ""


def test_without_a_journal_the_line_is_on_stderr(as_service: Path) -> None:
    Audit().refused(ALICE, 4711, "watch")
    (line,) = as_service.read_text().splitlines()
    assert line.startswith("<6>")
    assert line.endswith(" refused uid=1000 client_pid=77 pid=4711 verb=watch")


def test_a_journal_that_reads_nothing_blocks_nobody(
    journald: socket.socket, as_service: Path
) -> None:
    written = Audit()
    for number in range(1000):
        written.attach(ALICE, number, "x" * 15, "add")
    assert "pid=999 " in as_service.read_text()
    assert "pid=0 " in parse(journald.recv(4096))["MESSAGE"] + " "


def test_by_hand_the_line_is_on_stderr(
    journald: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(verbose=False)
    Audit().attach(ALICE, 4711, "a\nb", "add")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r" attach uid=1000 client_pid=77 pid=4711 comm='a\nb' how=add")
    with pytest.raises(TimeoutError):
        journald.recv(4096)


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    logger = logging.getLogger(logs.AUDIT)
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, logs.AUDIT)
    logger.propagate = False
    yield caplog.messages
    logger.removeHandler(caplog.handler)
    logger.propagate = True


def test_a_storm_of_refusals_is_counted_and_told(
    messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    written = Audit(clock)
    for pid in range(1, 1001):
        written.refused(ALICE, pid, "watch")
    assert len(caplog.messages) == audit.REFUSED_BURST
    # Others, and what goes well, are not affected.
    written.refused(BOB, 1, "watch")
    written.attach(ALICE, 5, "x", "watch")
    assert len(caplog.messages) == audit.REFUSED_BURST + 2
    clock.now += 1
    written.tick()
    assert caplog.messages[-1] == f"left-out uid=1000 records={1000 - audit.REFUSED_BURST}"
    written.tick()
    assert len(caplog.messages) == audit.REFUSED_BURST + 3
    # After the storm each is written again.
    clock.now += 60
    written.tick()
    written.refused(ALICE, 1, "watch")
    assert caplog.messages[-1].startswith("refused uid=1000 ")
    assert messages is not None


def test_a_storm_without_end_stays_within_the_rate(
    messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    written = Audit(clock)
    for _ in range(600):
        for _ in range(50):
            written.limit(ALICE, "connections", 128)
        clock.now += 1
        written.tick()
    assert len(caplog.messages) <= audit.REFUSED_BURST + 600 * (audit.REFUSED_RATE + 1)
    left_out = sum(int(m.split("=")[-1]) for m in caplog.messages if m.startswith("left-out"))
    shown = sum(m.startswith("limit") for m in caplog.messages)
    assert shown + left_out == 600 * 50
    assert messages is not None


def test_at_the_end_what_was_left_out_is_told(
    messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    written = Audit(Clock())
    for _ in range(audit.REFUSED_BURST + 3):
        written.refused(ALICE, 1, "add")
    written.close()
    assert caplog.messages[-1] == "left-out uid=1000 records=3"
    assert messages is not None
