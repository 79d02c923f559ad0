"""`netioctl watch` with filters, forms and intervals, against a daemon that does as it is told."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from netioctl import screen as screens
from netioctl.answers import Process
from netioctl.render.events import Form, drawer
from netioctl.watching import Began, Gone
from netioctl.wire.endpoints import UNKNOWN
from tests.unit.fake_daemon import RECVFROM, FakeDaemon, running, tcp_entry
from tests.unit.test_netioctl_live import Screen
from tests.unit.test_netioctl_watch import CONNECTION, ENDS, ENTRY, PID, WATCHING, Viewer

OTHER = tcp_entry(2, PID, ("192.168.1.100", 45679), ("10.0.0.1", 5432))


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(PID)
        daemon.process(1235, "nginx")
        yield daemon


def _mixed(daemon: FakeDaemon, times: int = 1) -> None:
    """Four events: each direction on each connection."""
    events = [
        daemon.event(tgid=PID, tid=PID, conn=1, bytes=10),
        daemon.event(tgid=PID, tid=PID, conn=1, bytes=2000, dir=1, call=RECVFROM),
        daemon.event(tgid=PID, tid=PID, conn=2, bytes=3000),
        daemon.event(tgid=PID, tid=PID, conn=2, bytes=40, dir=1, call=RECVFROM),
    ]
    daemon.publish(PID, *events * times, entries=[ENTRY, OTHER])


def _watch(
    daemon: FakeDaemon, *options: str, do: Callable[[], None] | None = None
) -> tuple[int, str, str]:
    viewer = Viewer(daemon, "watch", *options, str(PID)).ready()
    (do or (lambda: _mixed(daemon)))()
    daemon.exit(PID)
    return viewer.end()


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (["--send"], [10, 3000]),
        (["--recv", "--send"], [10, 2000, 3000, 40]),
        (["--port", "5432,22"], [3000, 40]),
        (["--port", "http"], [10, 2000]),
        (["--remote", "10.0.0.0/8", "--remote", "192.168.0.0/16"], [3000, 40]),
        (["--call", "recv", "--min-bytes", "1K"], [2000]),
        (["--proto", "tcp", "--family", "inet", "--min-bytes", "40"], [2000, 3000, 40]),
        (["--proto", "udp"], []),
    ],
)
def test_filters_choose_events(daemon: FakeDaemon, options: list[str], sizes: list[int]) -> None:
    status, out, _ = _watch(daemon, "--json", "--summary", *options)
    *events, summary = map(json.loads, out.splitlines())
    assert status == 0
    assert [each["bytes"] for each in events if each["type"] == "event"] == sizes
    # Both directions are no filter.
    assert summary.get("hidden", "none") == ("none" if "--send" in options[1:] else 4 - len(sizes))


def test_totals_stay_those_of_all_and_say_so(daemon: FakeDaemon) -> None:
    def do() -> None:
        _mixed(daemon)
        daemon.processes[PID].row(*ENDS, sent_bytes=3010, recv_bytes=2040, send_ops=2, recv_ops=2)

    _, out, err = _watch(daemon, "--send", "--port", "80", do=do)
    lines = out.splitlines()
    assert next(line for line in lines if line.endswith(CONNECTION)).split()[1] == "SEND"
    assert "Total Bytes Received: 2,040 bytes (1.99 KB)" in lines
    assert "Events Hidden:        3 (by the filter; totals have all traffic)" in lines
    assert "lost" not in out + err


@pytest.mark.parametrize("options", [["--json"], ["--summary-only"]])
def test_count_is_of_what_filters_let_pass(daemon: FakeDaemon, options: list[str]) -> None:
    viewer = Viewer(daemon, "watch", "--count", "5", "--recv", *options, str(PID))
    while "sync" not in [name for name, _ in daemon.requests]:
        time.sleep(0.005)
    time.sleep(0.15)
    _mixed(daemon, 2)
    assert viewer.process.poll() is None
    _mixed(daemon, 2)
    status, out, _ = viewer.end()
    assert status == 0
    if options == ["--json"]:
        assert [json.loads(line)["dir"] for line in out.splitlines()] == ["recv"] * 5


def test_a_filter_on_a_terminal_that_skips(daemon: FakeDaemon) -> None:
    """What is hidden is neither shown nor skipped."""
    screen = Screen()
    screen.read(20_000)
    viewer = Viewer(daemon, "watch", "--recv", str(PID), stdout=screen.follow).ready()
    os.close(screen.follow)
    for _ in range(150):
        _mixed(daemon, 25)
        time.sleep(0.005)
    daemon.exit(PID)
    status, _, _ = viewer.end()
    lines = screen.end()
    assert status == 0
    shown = sum(" RECV 1234 " in line for line in lines)
    told = re.findall(r"-- ([\d,]+) events? skipped in \S+ \S+ \((\S+ \S+) sent", "\n".join(lines))
    skipped = sum(int(number.replace(",", "")) for number, _ in told)
    assert told
    assert {sent for _, sent in told} == {"0 B"}
    assert not any(" SEND 1234 " in line for line in lines)
    assert shown + skipped == 150 * 50
    assert f"Events Not Shown:     {skipped:,} (slow terminal)" in lines
    assert "Events Hidden:        7,500 (by the filter; totals have all traffic)" in lines


def test_csv_has_events_and_nothing_else(daemon: FakeDaemon) -> None:
    status, out, err = _watch(daemon, "--csv", "--columns", "bytes,dir", "--columns", "remote")
    assert status == 0
    assert list(csv.reader(io.StringIO(out))) == [
        ["bytes", "dir", "remote"],
        ["10", "send", "93.184.216.34:80"],
        ["2000", "recv", "93.184.216.34:80"],
        ["3000", "send", "10.0.0.1:5432"],
        ["40", "recv", "10.0.0.1:5432"],
    ]
    assert err == WATCHING + "1234 (curl) exited\n"


def test_csv_that_lacks_events_says_so_twice_and_fails(daemon: FakeDaemon) -> None:
    def do() -> None:
        _mixed(daemon)
        daemon.processes[PID].published += 7
        _mixed(daemon)

    status, out, err = _watch(daemon, "--csv", do=do)
    assert status == 1
    assert len(out.splitlines()) == 9
    assert all(line.count(",") == 11 for line in out.splitlines())
    assert err == (
        f"{WATCHING}-- 7 events lost (viewer too slow) --\n1234 (curl) exited\n"
        "netioctl: this CSV lacks 7 events\n"
    )


def test_csv_on_a_terminal_is_told_there_what_it_lacks(daemon: FakeDaemon) -> None:
    screen = Screen()
    screen.read(float("inf"))
    viewer = Viewer(daemon, "watch", "--csv", str(PID), stdout=screen.follow).ready()
    os.close(screen.follow)
    daemon.processes[PID].published += 7
    _mixed(daemon)
    daemon.exit(PID)
    status, _, err = viewer.end()
    # A terminal adds a carriage return of its own.
    lines = list(filter(None, screen.end()))
    assert status == 1
    assert lines[1] == "-- 7 events lost (viewer too slow) --"
    assert "this CSV lacks 7 events" in err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--json --csv", "--json and --csv are two forms"),
        ("--csv --wide", "--wide is for text"),
        ("--columns dir --wide", "--wide is one choice of columns, and --columns another"),
        ("--columns dir --json", "--columns is for text and --csv"),
        ("--columns dir,host", "--columns does not know host; it knows time, dir, pid, tid, comm"),
        ("--columns dir,,pid", "--columns: a word is missing in 'dir,,pid'"),
        ("--columns dir --columns dir", "--columns has dir twice"),
        ("--columns dir --summary-only", "--columns is about events, and --summary-only"),
        ("--time utc --json", "--time is for text and --csv"),
        ("--time noon", "Invalid value for '--time': 'noon' is not one of 'local', 'utc'"),
        ("--resolve --json", "--resolve is for text and --csv"),
        ("--resolve --interval 1", "--resolve is about events, and --interval prints none"),
        ("--csv --columns dir --interval 1", "--columns is about events, and --interval"),
        ("--csv --summary", "--csv has no totals"),
        ("--csv --summary-only", "--csv has no totals"),
        ("--send --summary-only", "filters choose events, and --summary-only prints none"),
        ("--send --interval 1", "filters choose events, and --interval has sums"),
        ("--count 1 --interval 1", "--count is about events, and --interval prints none"),
        ("--interval 1 --summary-only", "--interval and --summary-only are two things"),
        ("--interval 10ms", "--interval is 0.1 s at least"),
        ("--family tcp", "--family does not know tcp; it knows unix, inet, inet6, netlink"),
        ("--remote 300.1.1.1", "--remote: not an address, a network or the name of a host"),
        ("--min-bytes lots", "--min-bytes: not a number of bytes: lots"),
        ("--port \x1b[31m", "--port: no such service: \\x1b[31m"),
    ],
)
def test_what_has_no_meaning_is_refused(daemon: FakeDaemon, options: str, why: str) -> None:
    status, out, err = Viewer(daemon, "watch", *options.split(" "), str(PID)).end()
    assert (status, out) == (2, "")
    assert why in err
    assert err.count("\n") == 1
    assert not daemon.requests


def _on_a_terminal(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    screen.read(float("inf"))
    viewer = Viewer(daemon, "watch", *options, "--no-summary", str(PID), stdout=screen.follow)
    viewer.ready()
    os.close(screen.follow)
    _mixed(daemon)
    daemon.exit(PID)
    viewer.end()
    return "\n".join(screen.end())


@pytest.mark.parametrize("options", [[], ["--wide"], ["--columns", "dir,bytes"]])
def test_colours_are_for_terminals(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr(Viewer, "environment", {"NO_COLOR": ""})
    text = _on_a_terminal(daemon, monkeypatch, *options)
    assert text.count("\x1b[36mSEND\x1b[0m") == text.count("\x1b[35mRECV\x1b[0m") == 2


def test_no_color_and_data_have_none(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in _on_a_terminal(daemon, monkeypatch)
    monkeypatch.setattr(Viewer, "environment", {"NO_COLOR": "", "FORCE_COLOR": "1"})
    daemon.process(PID)
    assert "\x1b" not in _on_a_terminal(daemon, monkeypatch, "--csv")


def test_force_color_reaches_pipes(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Viewer, "environment", {"NO_COLOR": "", "FORCE_COLOR": "1"})
    _, out, _ = _watch(daemon)
    assert "\x1b[36mSEND\x1b[0m 1234" in out


def test_a_terminal_without_utf_8(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Viewer, "environment", {"PYTHONIOENCODING": "latin-1"})
    monkeypatch.setenv("COLUMNS", "60")
    daemon.processes[PID].comm = "caf\u00e9\u2603"
    screen = Screen()
    screen.read(float("inf"))
    viewer = Viewer(
        daemon, "watch", "--no-summary", str(PID), stdout=screen.follow, encoding="latin-1"
    ).ready()
    os.close(screen.follow)
    _mixed(daemon)
    daemon.exit(PID)
    viewer.end()
    screen._thread.join(20)
    os.close(screen.lead)
    line = screen.text.split(b"\r\n")[1]
    # A name that it cannot show is escaped; what is cut is so marked that it fits.
    assert b" caf\xe9\\u2603 " in line
    assert len(line.replace(b"\\u2603", b"?")) <= 60
    assert b"~" in line


def test_sums_a_second(daemon: FakeDaemon) -> None:
    one, two = daemon.processes[PID], daemon.processes[1235]
    two.fresh = False
    two.row(*ENDS, sent_bytes=1_000_000, send_ops=9)
    viewer = Viewer(daemon, "watch", "--interval", "0.1", "--json", "--summary", "1234", "1235")
    lines: list[dict[str, Any]] = []
    assert viewer.process.stdout is not None

    def until(pid: int, **moved: int) -> None:
        while True:
            lines.append(json.loads(viewer.process.stdout.readline()))  # type: ignore[union-attr]
            last = lines[-1]
            if last.get("pid") == pid and moved.items() <= last.items():
                return

    until(1235, sent_bytes=0)
    one.row(*ENDS, sent_bytes=500, send_ops=1)
    two.row(*ENDS, sent_bytes=1_000_040, recv_bytes=7, send_ops=10, recv_ops=1)
    until(1235, sent_bytes=40, recv_bytes=7, send_ops=1, recv_ops=1)
    daemon.miss(3)
    while lines[-1]["type"] != "missed":
        lines.append(json.loads(viewer.process.stdout.readline()))
    # What was moved just before the exit, and before the end.
    one.row(*ENDS, sent_bytes=600, send_ops=2)
    daemon.exit(PID)
    while lines[-1]["type"] != "exit":
        lines.append(json.loads(viewer.process.stdout.readline()))
    two.row(*ENDS, sent_bytes=1_000_041, recv_bytes=7, send_ops=11, recv_ops=1)
    viewer.process.send_signal(signal.SIGINT)
    # What readline() has read ahead communicate() would not see.
    lines += map(json.loads, viewer.process.stdout.read().splitlines())
    status, _, _ = viewer.end()
    assert status == 0
    summary = lines.pop()
    sums = [line for line in lines if line["type"] == "interval"]
    for pid, sent, ops in ((PID, 600, 2), (1235, 41, 2)):
        assert sum(line["sent_bytes"] for line in sums if line["pid"] == pid) == sent
        assert sum(line["send_ops"] for line in sums if line["pid"] == pid) == ops
    assert summary["total"]["sent_bytes"] == 641
    assert all(0 < line["seconds"] < 5 for line in sums)
    exit_at = next(n for n, line in enumerate(lines) if line["type"] == "exit")
    assert not any(line["pid"] == PID for line in lines[exit_at + 1 :])
    # No stream was asked for.
    assert [params["stream"] for name, params in daemon.requests if name == "watch"] == [False]


def test_of_many_processes_the_idle_ones_have_no_line(daemon: FakeDaemon) -> None:
    pids = [str(pid) for pid in range(2000, 2011)]
    for pid in pids:
        daemon.process(int(pid), f"p{pid}")
    viewer = Viewer(daemon, "watch", "--interval", "0.1", "--csv", *pids)
    assert viewer.process.stdout is not None
    viewer.process.stdout.readline()
    daemon.processes[2003].row(*ENDS, sent_bytes=5, send_ops=1)
    assert viewer.process.stdout.readline().split(",")[2:] == [
        "2003",
        "p2003",
        "5",
        "0",
        "1",
        "0\n",
    ]
    viewer.process.send_signal(signal.SIGINT)
    assert viewer.process.stdout.read() == ""
    assert viewer.end()[0] == 0


def test_who_comes_later_is_told_of() -> None:
    """A process that a selector chose, or the child of one that is followed."""
    process = Process(77, 99, "chi\x1bld", 0, 0.0, "pid.77.", None, True)
    items = [Began(process, None), Began(process, 7), Gone(process, None)]

    def shown(kind: str) -> tuple[str, str]:
        out, err = io.BytesIO(), io.StringIO()
        with contextlib.redirect_stderr(err):
            output: Any = SimpleNamespace(width=lambda: None, write=lambda t: out.write(t.encode()))
            session: Any = SimpleNamespace(generation=0, connection=None)
            drawn = drawer(Form(kind, ("dir",)), lambda _: UNKNOWN, 0)
            screens.Screen(session, output, screens.Wish(Form(kind)), drawn).show(items)
        return out.getvalue().decode(), err.getvalue()

    told = "watching 77 (chi\\x1bld)"
    for kind in ("text", "wide", "columns", "csv"):
        assert shown(kind) == ("", f"{told}\n{told}, child of 7\n77 (chi\\x1bld) exited\n")
    out, err = shown("json")
    assert not err
    assert [json.loads(line) for line in out.splitlines()] == [
        {"type": "began", "pid": 77, "comm": "chi\x1bld", "parent": None},
        {"type": "began", "pid": 77, "comm": "chi\x1bld", "parent": 7},
        {"type": "exit", "pid": 77},
    ]


def test_sums_outlive_the_broker(daemon: FakeDaemon) -> None:
    """Counters go on, so the sums do, too; the time that it was away is one interval."""
    one = daemon.processes[PID]
    viewer = Viewer(daemon, "watch", "--interval", "0.1", "--csv", str(PID))
    assert viewer.process.stdout is not None
    assert viewer.process.stdout.readline().startswith("time,seconds,pid,comm,sent_bytes")
    viewer.process.stdout.readline()
    one.fresh = False
    daemon.epoch += 1
    daemon.drop()
    one.row(*ENDS, sent_bytes=500, send_ops=1)
    rows = []
    while not any(row[4] == "500" for row in rows):
        rows.append(viewer.process.stdout.readline().rstrip().split(","))
    one.row(*ENDS, sent_bytes=501, send_ops=2)
    viewer.process.send_signal(signal.SIGTERM)
    rows += [line.split(",") for line in viewer.process.stdout.read().splitlines()]
    status, _, err = viewer.end()
    assert status == 0
    assert sum(int(row[4]) for row in rows) == 501
    assert "-- netiod was away for " in err
