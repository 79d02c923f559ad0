"""Filters, forms and intervals of `watch` on real traffic, beside what was really moved."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from tests.system.conftest import Daemon, StartTraffic, Watch


def test_filters_show_the_right_events_and_totals_stay_whole(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    """Twenty sends and receipts by TCP, with their real calls, each chosen in another way."""
    one = traffic("calls", "tcp")
    filters = (
        ("--send",),
        ("--recv", "--min-bytes", "20"),
        ("--call", "send,recvmsg"),
        ("--proto", "udp,unix"),
        ("--remote", "127.0.0.0/8", "--family", "inet", "--port", "1-65535"),
        ("--remote", "10.0.0.0/8"),
    )
    watches = [
        Watch(daemon, "--json", "--summary", *each, one.pid).wait_ready() for each in filters
    ]
    moved = one.run()["calls"]
    wanted = (
        [each for each in moved if each[1] == "SEND"],
        [each for each in moved if each[1] == "RECV" and each[2] >= 20],
        [each for each in moved if each[0] in ("sendto", "recvmsg")],
        [],
        moved,
        [],
    )
    for watch, expected in zip(watches, wanted):
        *events, summary = watch.objects()
        shown = [[each["call"], each["dir"].upper(), each["bytes"]] for each in events]
        assert shown == expected
        assert summary["hidden"] == len(moved) - len(expected)
        total = summary["total"]
        assert total["send_ops"] + total["recv_ops"] == len(moved)
        assert total["sent_bytes"] == sum(size for _, way, size in moved if way == "SEND")


def test_csv_and_columns_have_what_json_has(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("calls", "tcp")
    as_csv = Watch(daemon, "--csv", one.pid).wait_ready()
    as_json = Watch(daemon, "--json", one.pid).wait_ready()
    columns = ("--columns", "bytes,remote,call", "--no-summary")
    as_text = Watch(daemon, *columns, one.pid).wait_ready()
    relative = Watch(daemon, "--time", "relative", "--no-summary", one.pid).wait_ready()
    one.run()
    events = as_json.objects()
    status, out, _ = as_csv.finish()
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    for row, event in zip(rows, events):
        assert (
            row.items() >= {k: str(v) for k, v in event.items() if k in row and k != "time"}.items()
        )
        assert abs(float(row["time"]) - event["time"]) < 1e-5
    lines = as_text.finish()[1].splitlines()[1:]
    assert [line.split() for line in lines] == [
        [f"{event['bytes']:,}", event["remote"], event["call"]] for event in events
    ]
    seconds = [float(line.split()[0]) for line in relative.finish()[1].splitlines()[1:]]
    assert len(rows) == len(events) == len(lines) == len(seconds)
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] <= seconds[-1] < 60


def test_intervals_add_up_to_the_totals(daemon: Daemon, traffic: StartTraffic) -> None:
    """Of a process that was counted before, of one that exits meanwhile, and of one that stays."""
    earlier, leaving = traffic("paced", 2000, 0.5), traffic("stream", 300)
    daemon.ctl("add", earlier.pid)
    earlier.run()
    watch = Watch(daemon, "--interval", "100ms", "--json", "--summary", earlier.pid, leaving.pid)
    watch.wait_ready()
    leaving.run()
    leaving.end()
    sent = {earlier.pid: earlier.run()["events"] // 2 * 64, leaving.pid: 300 * 64}
    *objects, summary = watch.objects()
    intervals = [each for each in objects if each["type"] == "interval"]
    sums: Counter[int] = Counter()
    for each in intervals:
        assert each["seconds"] > 0
        sums[each["pid"]] += each["sent_bytes"]
    assert sums == sent
    assert summary["total"]["sent_bytes"] == sum(sent.values())
    assert sum(each["pid"] == earlier.pid and each["sent_bytes"] > 0 for each in intervals) > 2
    assert {"type": "exit", "pid": leaving.pid} in objects


def test_names_instead_of_addresses(daemon: Daemon, traffic: StartTraffic) -> None:
    """The first line may have the address; what comes once its name is known has that."""
    one = traffic("calls", "tcp")
    watch = Watch(daemon, "--resolve", "--columns", "remote", one.pid).wait_ready()
    shown: set[str] = set()
    assert watch.process.stdout is not None
    assert watch.process.stdout.readline() == "REMOTE\n"
    while "localhost" not in shown:
        moved = len(one.run()["calls"])
        for _ in range(moved):
            host, _, port = watch.process.stdout.readline().rstrip().rpartition(":")
            assert re.fullmatch(r"\d+|[a-z][\w-]*", port)
            shown.add(host)
    assert shown <= {"127.0.0.1", "localhost"}
    assert watch.finish()[0] == 0
