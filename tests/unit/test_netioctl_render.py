"""What things look like."""

from __future__ import annotations

import json
import time

import pytest

from netioctl.answers import Held, Process, Row, Summary, Totals
from netioctl.render import json as as_json
from netioctl.render import status, summary, table, words
from netioctl.render.columns import Cache, event_fields
from netioctl.render.json_events import JsonEvents
from netioctl.render.text_events import TextEvents
from netioctl.stream import Events, Lost
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import LayoutError

EVENT = layout.load().structs["event"]
TCP = Connection(1234, "inet", "tcp", "192.168.1.100:45678", "93.184.216.34:80")
SENDTO, RECVFROM = 10, 4


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def _lookup(conn: int) -> Connection:
    return TCP if conn == 1 else UNKNOWN


def _events(*events: bytes, comm: str = "curl", offset: int = 0) -> Events:
    return Events(1234, comm, offset, len(events), memoryview(b"".join(events)))


def _event(**changes: int) -> bytes:
    fields = {"time": 1732401045_123456789, "tgid": 1234, "tid": 1235, "conn": 1, "bytes": 512}
    return EVENT.pack(**{**fields, "call": SENDTO, **changes})


def test_text_is_what_the_manual_shows() -> None:
    drawer = TextEvents(_lookup)
    assert drawer.begin(None) == ("TIME     DIR  PID    COMM             BYTES     CONNECTION\n")
    assert drawer.events(_events(_event(), _event(dir=1, bytes=65536, conn=0)), None) == (
        "22:30:45 SEND 1234   curl             512 bytes  "
        "192.168.1.100:45678 -> 93.184.216.34:80\n"
        "22:30:45 RECV 1234   curl             65,536 bytes * -> *\n"
    )


def test_losses_in_text() -> None:
    drawer = TextEvents(_lookup)
    assert drawer.lost(Lost(1, 1204, "kernel")) == "-- 1,204 events lost (kernel buffer) --\n"
    assert drawer.lost(Lost(1, 311, "stream")) == "-- 311 events lost (viewer too slow) --\n"


def test_what_escaped_the_hooks_in_text() -> None:
    drawer = TextEvents(_lookup)
    assert drawer.missed(12) == (
        "-- 12 operations escaped the kernel's hooks: totals may be short by them --\n"
    )
    assert drawer.missed(1) == (
        "-- 1 operation escaped the kernel's hooks: totals may be short by it --\n"
    )
    assert len(drawer.missed(9_999)) <= 80


def test_the_clock_is_the_wall() -> None:
    text = TextEvents(_lookup).events(_events(_event(time=5), offset=3_600_000_000_000), None)
    assert text.startswith("01:00:00 SEND")


@pytest.mark.parametrize("width", [1, 2, 10, 37, 38, 50, 60, 79, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    drawer = TextEvents(_lookup)
    sizes = [_event(bytes=size) for size in (1, 1024, 1 << 20, (1 << 32) - 1)]
    lines = (drawer.begin(width) + drawer.events(_events(*sizes), width)).splitlines()
    assert len(lines) == 5
    assert all(len(line) <= width for line in lines)


def test_at_80_columns_both_ports_stay() -> None:
    line = TextEvents(_lookup).events(_events(_event()), 80)
    assert line == "22:30:45 SEND 1234   curl             512 bytes  …:45678 -> 93.184.216.34:80\n"


def test_the_width_may_change() -> None:
    drawer = TextEvents(_lookup)
    narrow, wide = drawer.events(_events(_event()), 60), drawer.events(_events(_event()), 100)
    assert len(narrow) <= 61
    assert wide.endswith("192.168.1.100:45678 -> 93.184.216.34:80\n")


def test_json_is_what_the_interface_says() -> None:
    line = JsonEvents(_lookup).events(_events(_event()), None)
    assert line == (
        '{"type":"event","time":1732401045.123456,"pid":1234,"tid":1235,"comm":"curl",'
        '"dir":"send","bytes":512,"family":"inet","proto":"tcp","local":"192.168.1.100:45678",'
        '"remote":"93.184.216.34:80","call":"sendto"}\n'
    )


def test_what_is_unknown_is_null() -> None:
    drawer = JsonEvents(_lookup)
    event = json.loads(drawer.events(_events(_event(conn=9, call=0)), None))
    assert [event[k] for k in ("family", "proto", "local", "remote", "call")] == [None] * 5
    assert json.loads(drawer.events(_events(_event(conn=9, call=250)), None))["call"] is None


def test_json_lines_of_many_threads_and_directions() -> None:
    data = [_event(tid=t, dir=t % 2, call=RECVFROM if t % 2 else SENDTO) for t in range(1, 50)]
    lines = JsonEvents(_lookup).events(_events(*data), None).splitlines()
    seen = [json.loads(line) for line in lines]
    assert [event["tid"] for event in seen] == list(range(1, 50))
    assert {(event["dir"], event["call"]) for event in seen} == {
        ("send", "sendto"),
        ("recv", "recvfrom"),
    }


def test_a_connection_that_becomes_known_is_shown() -> None:
    known = {1: UNKNOWN}
    for drawer in (JsonEvents(known.__getitem__), TextEvents(known.__getitem__)):
        known[1] = UNKNOWN
        assert "93.184.216.34" not in drawer.events(_events(_event()), None)
        known[1] = TCP
        assert "93.184.216.34" in drawer.events(_events(_event()), None)
        known[1] = TCP._replace(remote="10.0.0.1:1")
        drawer.forget()
        assert "10.0.0.1:1" in drawer.events(_events(_event()), None)


@pytest.mark.parametrize("comm", ["\x1b[2J", "a\nb", 'q"\\', "\x00", "\x9b31m", "\u202e"])
def test_no_name_steers_the_terminal_or_breaks_a_line(comm: str) -> None:
    text = TextEvents(_lookup).events(_events(_event(), comm=comm), None)
    assert text[:-1].isprintable()
    line = JsonEvents(_lookup).events(_events(_event(), comm=comm), None)
    assert line[:-1].isprintable()
    assert line.isascii()
    assert json.loads(line)["comm"] == comm


def test_names_of_fields_come_from_the_layout() -> None:
    assert event_fields("time", "bytes").unpack(_event(bytes=7)) == (1732401045_123456789, 7)
    for wrong in (("bytes", "time"), ("nonsense",), ("time", "time")):
        with pytest.raises(LayoutError):
            event_fields(*wrong)


def test_a_cache_empties_itself() -> None:
    cache: Cache[int, int] = Cache(lambda n: n * 2, 10)
    assert [cache[n] for n in range(100)] == [n * 2 for n in range(100)]
    assert len(cache) <= 10


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1,024 bytes (1.00 KB)"),
        (15360, "15,360 bytes (15.00 KB)"),
        ((1 << 20) - 1, "1,048,575 bytes (1.00 MB)"),
        (1 << 20, "1,048,576 bytes (1.00 MB)"),
        (5 << 30, "5,368,709,120 bytes (5.00 GB)"),
        (1 << 64, "18,446,744,073,709,551,616 bytes (16.00 EB)"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize("count", [0, 999, 1023, 1024, 1048000, 1 << 20, (1 << 40) - 1, 1 << 60])
def test_short_sizes_fit_their_column(count: int) -> None:
    assert len(words.short_size(count)) <= 9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0 s"), (59, "59 s"), (303, "5 min 3 s"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_connections_in_a_narrow_place() -> None:
    near, far = "[2606:2800:220:1::1]:45678", "[2606:2800:220:1:248:1893:25c8:1946]:443"
    for width in range(1, 90):
        assert len(words.connection(near, far, width)) <= width
    assert words.connection(near, far, 60) == f"…:45678 -> {far}"
    assert words.connection(near, far, 40).endswith(":443")
    assert words.connection("/run/a:b/c.sock", None, 80) == "/run/a:b/c.sock -> *"
    assert words.connection(None, "a\x1bb") == "* -> a\\x1bb"


def _process(pid: int, comm: str) -> Process:
    return Process(pid, 1, comm, 0, 1732401045.0, f"pid.{pid}.", None, True)


def _summary(*rows: Row, processes: tuple[Process, ...] = (), complete: bool = True) -> Summary:
    total = Totals(*(sum(column) for column in zip(*(row.total for row in rows))))
    return Summary(total, rows, processes, (), complete, 1732401045.0, 1732401055.1234567)


CURL = _process(1234, "curl")
WEB = Row(1234, "inet", "tcp", TCP.local, TCP.remote, Totals(15360, 51200, 24, 18))
OTHER = Row(1234, "other", None, None, None, Totals(1, 0, 1, 0))


def test_the_summary_is_what_the_manual_shows() -> None:
    rule = "=" * 80
    assert summary.summary(_summary(WEB, processes=(CURL,)), None) == (
        f"{rule}\nSUMMARY STATISTICS\n{rule}\n"
        "Total Bytes Sent:     15,360 bytes (15.00 KB)\n"
        "Total Bytes Received: 51,200 bytes (50.00 KB)\n"
        "Send Operations:      24\n"
        "Receive Operations:   18\n"
        "\n"
        "Per-Connection Statistics:\n"
        f"{'-' * 80}\n"
        "192.168.1.100:45678 -> 93.184.216.34:80\n"
        "  Sent: 15,360 bytes, Recv: 51,200 bytes\n"
    )


def test_a_summary_of_several_processes_names_them() -> None:
    rows = (OTHER, WEB, WEB._replace(pid=7, local=None, remote=None, family="netlink", proto=None))
    text = summary.summary(_summary(*rows, processes=(CURL, _process(7, "a\x1bb"))), None)
    ends = [line for line in text.splitlines() if "[PID" in line]
    assert ends == [
        "* -> * (netlink)  [PID 7, a\\x1bb]",
        f"{TCP.local} -> {TCP.remote}  [PID 1234, curl]",
        "(other connections)  [PID 1234, curl]",
    ]


def test_long_summaries_keep_their_totals_in_sight() -> None:
    rows = [WEB._replace(remote=f"10.0.0.1:{n}", total=Totals(n)) for n in range(100)]
    text = summary.summary(_summary(*rows), 80, 10)
    assert "(90 more connections; --json shows all)" in text
    assert f"  Sent: {sum(range(90)):,} bytes" in text
    assert len(text.splitlines()) < 40


def test_a_summary_that_is_not_complete_says_so() -> None:
    text = summary.summary(_summary(WEB, complete=False), None)
    assert "Not complete:         some operations escaped the counters\n" in text
    short = _summary(WEB, complete=False)
    for count, words_ in ((1, "1 operation"), (1_234_567, "1,234,567 operations")):
        text = summary.summary(short._replace(missed=count), None)
        # The kernel does not say whose they were.
        assert f"Not complete:         up to {words_} escaped (of all processes)\n" in text
        assert all(len(line) <= 80 for line in text.splitlines())
    # `netioctl summary` has no beginning to take it from.
    text = summary.summary(short._replace(missed=5), None, since_start=True)
    assert (
        "Not complete:         up to 5 operations escaped (of all processes,\n"
        "                      since netiod started)\n"
    ) in text
    assert "Not complete" not in summary.summary(_summary(WEB), None)


def test_an_empty_summary_and_a_narrow_terminal() -> None:
    empty = Summary(Totals(), (), (), (), True, 0.0, 0.0)
    assert "(none)" in summary.summary(empty, None)
    assert "=" * 10 + "\n" in summary.summary(empty, 10)


def test_the_summary_as_json() -> None:
    assert as_json.summary(_summary(WEB, OTHER)) == (
        '{"type":"summary","total":{"sent_bytes":15361,"recv_bytes":51200,"send_ops":25,'
        '"recv_ops":18},"connections":[{"pid":1234,"family":"inet","proto":"tcp",'
        '"local":"192.168.1.100:45678","remote":"93.184.216.34:80","sent_bytes":15360,'
        '"recv_bytes":51200,"send_ops":24,"recv_ops":18},{"pid":1234,"family":"other",'
        '"proto":null,"local":null,"remote":null,"sent_bytes":1,"recv_bytes":0,"send_ops":1,'
        '"recv_ops":0}],"complete":true,"missed":0,"since":1732401045.0,"until":1732401055.123457}\n'
    )


def test_other_json() -> None:
    assert as_json.exited(1) == '{"type":"exit","pid":1}\n'
    lost = JsonEvents(_lookup).lost(Lost(1, 1204, "kernel"))
    assert lost == '{"type":"lost","events":1204,"stage":"kernel"}\n'
    assert JsonEvents(_lookup).missed(12) == '{"type":"missed","operations":12}\n'


def _held(pid: int, comm: str, **changes: object) -> Held:
    held = Held(_process(pid, comm), 0, 2, None, Totals(15360, (1 << 40) - 1, 1, 1))
    return held._replace(**changes)


def test_the_table_fits_80_columns() -> None:
    now = 1732401100.0
    rows = [
        _held(4194304, "x" * 15, viewers=1000000),
        _held(1, "curl", added_by=None, exited=now, total=Totals()),
        _held(2, "\x1b" * 15, exited=now),
    ]
    long_ago = rows[0].process._replace(since=now - 10**6)
    rows.append(rows[0]._replace(process=long_ago))
    text = table.held(rows, lambda _uid: "a-very-long-user-name", now, None)
    lines = text.splitlines()
    assert lines[0].split() == ["PID", "COMM", "USER", "SINCE", "BY", "VIEWERS", "SENT", "RECV"]
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    assert "22:30:45" in lines[1]
    assert "curl (exited)" in lines[2]
    assert "Nov 12" in lines[4]


def test_the_table_of_nothing_and_a_narrow_terminal() -> None:
    assert table.held([], str, 0.0, None) == "PID COMM USER SINCE BY VIEWERS SENT RECV\n"
    lines = table.held([_held(1, "curl")], str, 0.0, 10).splitlines()
    assert [len(line) for line in lines] == [10, 10]


STATUS = {
    "version": "0.1.0",
    "protocol": 1,
    "pid": 812,
    "uptime": 3725.2,
    "kernel": "6.18.0",
    "arch": "x86_64",
    "backend": {
        "name": "tracepoint",
        "blind": ["splice from a socket into a pipe", "io\x1b_uring"],
        "hooks": ["sock_send_length", "sock_recv_length"],
        "missing": [{"hook": "sock_splice_read", "why": "no kprobes in this kernel"}],
        "rejected": [{"backend": "fexit", "why": "the kernel refuses (EPERM) " * 10}],
    },
    "privileges": [],
    "operator": True,
    "held": 3,
    "viewers": 2,
    "events": 1234567,
    "lost": {"kernel": 1204, "daemon": 0, "new_stage": 5},
    "ring_size": 8388608,
    "processes": [
        {"role": "supervisor", "pid": 812, "rss": 12345678, "pss": None, "cpu": 0.25},
    ],
    "bpf": [{"name": "on_send", "run_time_ns": 123000, "run_cnt": 1000}],
}


def test_the_status() -> None:
    text = status.status(STATUS, None)
    for part in (
        "0.1.0, protocol 1, PID 812, up 1 h 2 min",
        "6.18.0 x86_64",
        "tracepoint: sock_send_length, sock_recv_length",
        "splice from a socket into a pipe",
        "sock_splice_read: no kprobes",
        "1,234,567 published; ring 8.0 MB",
        "kernel 1,204, daemon 0, new_stage 5",
        "supervisor",
        "0.25 s",
        "123 ns",
    ):
        assert part in text
    assert all(len(line) <= 80 and line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("width", [1, 10, 40, 80])
def test_the_status_on_a_narrow_terminal(width: int) -> None:
    assert status.status(STATUS, width)


def test_a_status_with_nothing_in_it_or_wrong_types() -> None:
    assert status.status({}, None)
    assert status.status(dict.fromkeys(STATUS, 5), None)
    assert status.status(dict.fromkeys(STATUS, "x"), None)
    assert status.status({key: [{"name": 5}] for key in STATUS}, None)
    uncounted = {**STATUS, "bpf": [{"name": "x", "run_time_ns": None, "run_cnt": None}]}
    assert "bpf_stats_enabled" in status.status(uncounted, None)


def test_the_status_says_that_netlink_is_counted() -> None:
    assert "Netlink      counted" in status.status({**STATUS, "netlink": True}, None)
    assert "Netlink" not in status.status({**STATUS, "netlink": False}, None)
    assert "Netlink" not in status.status(STATUS, None)


def test_the_status_of_someone_who_is_no_operator_says_what_is_missing() -> None:
    assert "shown to root" in status.status({**STATUS, "operator": False}, None)
