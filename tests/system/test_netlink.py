"""Netlink sockets: left out, unless netiod is told to count them."""

from __future__ import annotations

from tests.system.conftest import StartDaemon, StartTraffic, Watch
from tests.system.test_totals import check_rows, total_of


def test_netlink_is_left_out(
    start_daemon: StartDaemon, traffic: StartTraffic, backend: str
) -> None:
    daemon = start_daemon("--backend", backend)
    one = traffic("netlink")
    daemon.ctl("add", one.pid)
    said = one.run()
    assert said["recv"] > 0
    summary = daemon.summary(one.pid)
    assert total_of(summary) == (1, 1)
    assert {row["family"] for row in summary["connections"]} == {"unix"}
    assert daemon.status()["netlink"] is False
    assert "Netlink" not in daemon.ctl("status").stdout


def test_netlink_is_counted_when_asked_for(
    start_daemon: StartDaemon, traffic: StartTraffic, backend: str
) -> None:
    daemon = start_daemon("--backend", backend, "--netlink")
    one = traffic("netlink")
    daemon.ctl("add", one.pid)
    watch = Watch(daemon, "--json", one.pid).wait_ready()
    said = one.run()
    summary = daemon.summary(one.pid)
    check_rows(summary)
    (row,) = [row for row in summary["connections"] if row["family"] == "netlink"]
    assert (row["sent_bytes"], row["recv_bytes"]) == (said["sent"], said["recv"])
    assert (row["proto"], row["local"], row["remote"]) == ("route", None, None)
    assert total_of(summary) == (said["sent"] + 1, said["recv"] + 1)
    events = [event for event in watch.objects() if event["family"] == "netlink"]
    assert sum(event["bytes"] for event in events) == said["sent"] + said["recv"]
    assert daemon.status()["netlink"] is True
    assert "Netlink      counted" in daemon.ctl("status").stdout
