"""What events look like in chosen columns, as CSV, at other clocks, and in colour."""

from __future__ import annotations

import csv
import io
import re
import time
from typing import Any

import pytest

from netioctl.answers import Process, Totals
from netioctl.render import csv_events, palette
from netioctl.render.cells import _SOURCES
from netioctl.render.clocks import Clock
from netioctl.render.events import COLUMNS, Form, drawer
from netioctl.render.intervals import CsvIntervals, JsonIntervals, Sums, TextIntervals
from netioctl.stream import Events, Lost
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection

EVENT = layout.load().structs["event"]
AT = 1732401045_123456789
CONNECTIONS = {
    1: Connection(1234, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:80"),
    2: Connection(1234, "unix", "stream", "@=cmd|'/C calc'!A0", '/run/a "b",c'),
}
SENDTO, RECVFROM = 10, 4


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def _events(*changes: dict[str, int], comm: str = "curl") -> Events:
    known = {"time": AT, "tgid": 1234, "tid": 1235, "conn": 1, "bytes": 65536, "call": SENDTO}
    data = b"".join(EVENT.pack(**{**known, **each}) for each in changes)
    return Events(1234, comm, 0, len(changes), memoryview(data))


def _draw(form: Form, item: Events, width: int | None = None, began: int = 0) -> str:
    drawn = drawer(form, lambda conn: CONNECTIONS.get(conn, UNKNOWN), began)
    return drawn.begin(width) + drawn.events(item, width)


RECEIVED = {"dir": 1, "call": RECVFROM, "bytes": 7, "conn": 0}


def test_columns_in_the_order_that_was_asked_for() -> None:
    form = Form("columns", ("bytes", "remote", "dir", "local"))
    assert _draw(form, _events({}, RECEIVED, {"conn": 2})) == (
        "        BYTES REMOTE                DIR  LOCAL\n"
        "       65,536 93.184.216.34:80      SEND 192.168.1.100:45678\n"
        "            7 *                     RECV *\n"
        "       65,536 /run/a \"b\",c          SEND @=cmd|'/C calc'!A0\n"
    )


def test_every_column() -> None:
    header, first, second = _draw(Form("columns", COLUMNS), _events({}, RECEIVED)).splitlines()
    assert header.lower().split() == list(COLUMNS) == list(_SOURCES)
    assert " ".join(first.split()) == (
        "22:30:45.123456 SEND 1234 1235 curl sendto inet tcp 65,536 192.168.1.100:45678 "
        "93.184.216.34:80 -"
    )
    assert " ".join(second.split()) == "22:30:45.123456 RECV 1234 1235 curl recvfrom - - 7 * * -"
    assert [header.index(" TID"), header.index(" LOCAL")] == [
        first.index(" 1235"),
        first.index(" 192.168.1.100"),
    ]


def test_csv_is_what_a_reader_of_csv_reads() -> None:
    item = _events({}, RECEIVED, {"conn": 2, "call": 0}, comm='a,"b\n\x1b')
    text = _draw(Form("csv", COLUMNS, "epoch"), item)
    assert text.count("\r\n") == text.count("\n") == 4
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == list(COLUMNS)
    start = ["1732401045.123456", "send", "1234", "1235", 'a,"b\\x0a\\x1b']
    assert rows == [
        [*start, "sendto", "inet", "tcp", "65536", "192.168.1.100:45678", "93.184.216.34:80", ""],
        [start[0], "recv", *start[2:], "recvfrom", "", "", "7", "", "", ""],
        [*start, "", "unix", "u_str", "65536", "'@=cmd|'/C calc'!A0", '/run/a "b",c', ""],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_name_is_a_formula(name: str) -> None:
    assert csv_events.text(name) == f"'{name}"
    assert csv_events.text(f"x{name}") == f"x{name}"


def test_a_single_column_that_is_empty_is_a_line() -> None:
    assert _draw(Form("csv", ("remote",)), _events(RECEIVED)) == "remote\r\n\r\n"


SOME = AT - 12_345_678_000


@pytest.mark.parametrize(
    ("form", "short", "full", "cell"),
    [
        ("local", "22:30:45", "22:30:45.123456", "2024-11-23 22:30:45.123456"),
        ("utc", "22:30:45", "22:30:45.123456", "2024-11-23T22:30:45.123456Z"),
        ("relative", "  12.346", "      12.345678", "12.345678"),
        ("epoch", "1732401045.123", "1732401045.123456", "1732401045.123456"),
    ],
)
def test_clocks(form: str, short: str, full: str, cell: str) -> None:
    if form == "relative":
        short = "  12.345"
    for kind, shown in (("text", short), ("wide", full), ("columns", full), ("csv", cell)):
        text = _draw(Form(kind, ("time", "dir"), form), _events({}), None, SOME)
        header, line = text.splitlines()
        if kind == "csv":
            assert line == f"{shown},send"
        else:
            assert line.startswith(f"{shown} SEND")
            assert header.index(" DIR") == len(shown)


def test_local_and_utc_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of a second that no other test has shown, since what is shown is remembered.
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    item = _events({"time": AT + 86_400_000_000_000})
    assert _draw(Form("text", (), "local"), item).splitlines()[1][:8] == "00:30:45"
    assert _draw(Form("text", (), "utc"), item).splitlines()[1][:8] == "22:30:45"


def test_a_clock_that_is_set_back_shows_no_nonsense() -> None:
    clock = Clock("relative", AT, dated=True)
    assert clock.full(AT + 1_500_000) == "0.001500"
    assert re.fullmatch(r"0\.000\d\d\d", clock.full(AT - 1_500_000_000))


COLOURS = palette.colours()


@pytest.mark.parametrize("kind", ["text", "wide", "columns"])
@pytest.mark.parametrize("width", [None, 80, 40, 12, 5, 1])
def test_colours_change_nothing_but_colours(kind: str, width: int | None) -> None:
    item = _events({}, RECEIVED, {"conn": 2}, {"bytes": (1 << 32) - 1})
    plain, coloured = (
        _draw(Form(kind, ("time", "dir", "bytes", "remote"), "local", on), item, width)
        for on in (False, True)
    )
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    for line in coloured.splitlines()[1:]:
        found = re.search(r"(\x1b\[\d+m)([SENDRCV…]*)\x1b\[0m", line)
        assert found
        assert found[1] == (COLOURS.recv if "RECV".startswith(found[2]) and found[2] else found[1])
    if width is None:
        assert f"{COLOURS.send}SEND{COLOURS.end}" in coloured
        assert f"{COLOURS.recv}RECV{COLOURS.end}" in coloured


def test_losses_are_red() -> None:
    drawn = drawer(Form("text", colour=True), lambda _: UNKNOWN, 0)
    assert drawn.lost(Lost(1, 12, "kernel")) == (
        "\x1b[31m\x1b[1m-- 12 events lost (kernel buffer) --\x1b[0m\n"
    )
    assert drawn.missed(1).startswith("\x1b[31m\x1b[1m-- 1 operation escaped")
    assert drawn.skipped(1.0, Totals(1, 2, 3, 4)).endswith("--\x1b[0m\n")


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (False, {"TERM": "xterm"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (True, {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        (True, {"TERM": "xterm", "FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_where_colours_are_wanted(terminal: bool, environment: Any, wanted: bool) -> None:
    assert palette.wanted(terminal, environment) is wanted


def test_sums_of_an_interval() -> None:
    process = Process(1234, 99, "=a\n", 0, 0.0, "pid.1234.", None, True)
    item = Sums(AT, 0.5, process, Totals(2048, 10, 3, 1))
    text = TextIntervals(Clock(), 2.0)
    assert text.begin() + text.sums(item) == (
        "TIME     PID     COMM               SENT/s    RECV/s       OPS/s\n"
        # A rest of an interval has the rate of a whole one.
        "22:30:45 1234    =a\\x0a             1.0 KB       5 B           2\n"
    )
    long = item._replace(seconds=4.0)
    assert text.sums(long).split()[3:] == ["512", "B", "2", "B", "1"]
    table = CsvIntervals(Clock("epoch"))
    assert table.begin() + table.sums(item) == (
        "time,seconds,pid,comm,sent_bytes,recv_bytes,send_ops,recv_ops\r\n"
        "1732401045.123456,0.500000,1234,'=a\\x0a,2048,10,3,1\r\n"
    )
    assert JsonIntervals().sums(item) == (
        '{"type":"interval","time":1732401045.123457,"seconds":0.5,"pid":1234,"comm":"=a\\n",'
        '"sent_bytes":2048,"recv_bytes":10,"send_ops":3,"recv_ops":1}\n'
    )
