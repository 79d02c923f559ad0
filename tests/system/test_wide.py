"""`watch --wide` on real traffic: every call by its name, with thread, protocol and both ends."""

from __future__ import annotations

import re

import pytest

from tests.system.conftest import StartDaemon, StartTraffic, Watch

ROW = re.compile(
    r"(?P<time>\d\d:\d\d:\d\d\.\d{6}) (?P<dir>SEND|RECV) (?P<pid>\d+) +(?P<tid>\d+) +"
    r"(?P<comm>\S+) +(?P<call>\S+) +(?P<proto>\S+) +(?P<bytes>[\d,]+) (?P<near>\S+) -> (?P<far>.+)"
)


@pytest.mark.parametrize(
    ("kind", "proto", "ends"),
    [
        ("tcp", "tcp", r"127\.0\.0\.1:\d+"),
        ("unix", "u_str", r"\*|pid \d+( \(.*\))?"),
        ("udp", "udp", r"\[::1\]:\d+"),
    ],
)
def test_calls_have_their_names(
    start_daemon: StartDaemon,
    traffic: StartTraffic,
    backend: str,
    kind: str,
    proto: str,
    ends: str,
) -> None:
    daemon = start_daemon("--backend", backend)
    one = traffic("calls", kind)
    watch = Watch(daemon, "--wide", "--no-summary", one.pid).wait_ready()
    said = one.run()
    status, out, _ = watch.finish()
    assert status == 0
    header, *lines = out.splitlines()
    rows = [ROW.fullmatch(line) for line in lines]
    assert all(rows), out
    found = [(row["call"], row["dir"], int(row["bytes"])) for row in rows if row]
    assert found == [tuple(call) for call in said["calls"]]
    for row in rows:
        assert row is not None
        assert (row["pid"], row["tid"]) == (str(one.pid), str(said["tid"]))
        assert row["proto"] == proto
        assert re.fullmatch(ends, row["near"])
        assert re.fullmatch(ends, row["far"])
        assert row.start("near") == header.index("CONNECTION")
    times = [row["time"] for row in rows if row]
    assert times == sorted(times)
    assert len(set(times)) > 1
