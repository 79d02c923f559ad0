"""Totals are the application's own, to the byte; connections are named right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import (
    ALICE,
    SHARED,
    Daemon,
    StartDaemon,
    StartTraffic,
    Traffic,
    Watch,
    wait_until,
)


def total_of(summary: dict[str, Any]) -> tuple[int, int]:
    return summary["total"]["sent_bytes"], summary["total"]["recv_bytes"]


def names_process(remote: str, pid: int) -> bool:
    """Whether the far end of a unix socket is called after its process; the name may follow."""
    return re.fullmatch(rf"pid {pid}( \(python3[.\d]*\))?", remote) is not None


def check_rows(summary: dict[str, Any]) -> None:
    for name, value in summary["total"].items():
        assert sum(row[name] for row in summary["connections"]) == value


def counted(daemon: Daemon, one: Traffic) -> tuple[dict[str, Any], Any]:
    """(what the traffic says, what netio says) of traffic that has been added."""
    assert daemon.ctl("add", one.pid).returncode == 0
    said = one.run()
    summary = daemon.summary(one.pid)
    check_rows(summary)
    # What others did may have escaped a daemon that is shared.
    assert summary["complete"] or SHARED
    return said, summary


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("udp_echo", []),
        ("tcp", ["4"]),
        ("tcp", ["6"]),
        ("unix_pair", []),
        ("unix_path", ["@netio-test"]),
        ("stream", [2000, 100]),
        ("short_connections", [300]),
    ],
)
def test_totals(
    backend_daemon: Daemon,
    traffic: StartTraffic,
    kind: str,
    arguments: list[Any],
) -> None:
    said, summary = counted(backend_daemon, traffic(kind, *arguments))
    assert total_of(summary) == (said["sent"], said["recv"])


@pytest.mark.parametrize("version", ["4", "6"])
def test_tcp_sides_and_ports(backend_daemon: Daemon, traffic: StartTraffic, version: str) -> None:
    said, summary = counted(backend_daemon, traffic("tcp", version))
    rows = {(r["local"], r["remote"]): r for r in summary["connections"]}
    assert set(rows) == {(said["client"], said["server"]), (said["server"], said["client"])}
    client = rows[said["client"], said["server"]]
    assert (client["sent_bytes"], client["recv_bytes"]) == (1000, 2000)
    assert client["family"] == ("inet6" if version == "6" else "inet")
    assert client["proto"] == "tcp"


def test_unconnected_udp_names_the_peers(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    said, summary = counted(backend_daemon, traffic("udp_echo"))
    sending = {(r["local"], r["remote"]) for r in summary["connections"] if r["sent_bytes"]}
    assert sending == {(said["server"], said["client"]), (said["client"], said["server"])}
    receiving = {(r["local"], r["remote"]) for r in summary["connections"] if r["recv_bytes"]}
    assert receiving == sending


def test_unix_sockets_are_named(
    backend_daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    path = str(tmp_path / "x.sock")
    said, summary = counted(backend_daemon, one := traffic("unix_path", path))
    assert {r["family"] for r in summary["connections"]} == {"unix"}
    ends = {r["local"]: r["remote"] for r in summary["connections"]}
    assert ends.keys() == {None, path}
    assert ends[None] == path
    assert names_process(ends[path], one.pid)
    assert total_of(summary) == (said["sent"], said["recv"])


def test_abstract_unix_sockets_are_named(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    _, summary = counted(backend_daemon, traffic("unix_path", "@netio test"))
    assert {r["remote"] for r in summary["connections"]} >= {"@netio test"}


def test_a_socketpair_names_the_peers_pid(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    said, summary = counted(backend_daemon, traffic("unix_pair"))
    assert all(names_process(r["remote"], said["pid"]) for r in summary["connections"])
    assert summary["connections"]


def test_http(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    said, summary = counted(backend_daemon, traffic("http_pair"))
    sent, recv = total_of(summary)
    assert sent == recv  # both ends are in this process
    serving = [r for r in summary["connections"] if r["local"] == said["server"]]
    assert len(serving) == 10
    assert all(r["sent_bytes"] >= 500 for r in serving)


def test_ten_thousand_short_connections(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    said, summary = counted(backend_daemon, traffic("short_connections", 10_000))
    assert total_of(summary) == (said["sent"], said["recv"])


def test_more_connections_than_the_map_holds(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon("--max-connections", 64)
    one = traffic("short_connections", 500)
    daemon.ctl("add", one.pid)
    said = one.run()
    summary = daemon.summary(one.pid)
    check_rows(summary)
    assert total_of(summary) == (said["sent"], said["recv"])
    assert [r for r in summary["connections"] if r["family"] == "other"]


def test_a_child_is_another_process(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    said, summary = counted(backend_daemon, traffic("stream", 500, 64, "fork"))
    # The child moved as much through the same sockets; only our own reads and writes count.
    assert total_of(summary) == (said["sent"], said["recv"])


def test_totals_stay_after_the_exit(backend_daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    backend_daemon.ctl("add", one.pid)
    said = one.run()
    one.end()

    def exited() -> bool:
        return any(r["pid"] == one.pid and r["exited"] for r in backend_daemon.json("list"))

    wait_until(exited, what="the exit is noticed")
    summary = backend_daemon.summary(one.pid)
    check_rows(summary)
    assert total_of(summary) == (said["sent"], said["recv"])


@pytest.mark.parametrize("ring", [4096, 65536])
def test_a_tiny_ring_loses_events_but_no_bytes(
    start_daemon: StartDaemon, traffic: StartTraffic, ring: int
) -> None:
    daemon = start_daemon("--ring-size", ring)
    one = traffic("stream", 50_000)
    watch = Watch(daemon, "--json", "--summary", one.pid).wait_ready()
    said = one.run()
    one.end()
    objects = watch.objects(sig=None)
    events = [o for o in objects if o["type"] == "event"]
    lost = sum(o["events"] for o in objects if o["type"] == "lost")
    summary = objects[-1]
    assert summary["type"] == "summary"
    assert total_of(summary) == (said["sent"], said["recv"])
    assert lost > 0
    assert len(events) + lost == said["events"]
    assert {o["stage"] for o in objects if o["type"] == "lost"} == {"kernel"}
    # At the place where it happened: not all at the end.
    kinds = [o["type"] for o in objects if o["type"] in ("event", "lost")]
    assert "event" in kinds[kinds.index("lost") :]


def test_lost_events_are_a_line_of_text(start_daemon: StartDaemon, traffic: StartTraffic) -> None:
    daemon = start_daemon("--ring-size", 4096)
    one = traffic("stream", 50_000)
    watch = Watch(daemon, one.pid).wait_ready()
    one.run()
    _, out, _ = watch.finish()
    assert re.search(r"^-- [\d,]+ events? lost \(kernel buffer\) --$", out, re.M)


def test_an_ordinary_user_gets_exact_totals(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon()
    one = traffic("tcp", uid=ALICE)
    assert daemon.ctl("add", one.pid, uid=ALICE).returncode == 0
    said = one.run()
    assert total_of(daemon.summary(one.pid, uid=ALICE)) == (said["sent"], said["recv"])
