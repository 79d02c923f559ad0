"""Many viewers of one stream; leases; nothing is emitted that nobody watches."""

from __future__ import annotations

import json
import signal
import time

import pytest

from netioctl import stream
from netioctl.client import Client
from netioctl.render.columns import event_fields
from netioctl.session import Session
from netioctl.stream import Events, Lost
from netioctl.wire.endpoints import UNKNOWN, Connection
from tests.system.conftest import ALICE, Daemon, StartDaemon, StartTraffic, Watch, wait_until


def test_thirty_two_viewers_each_get_every_event(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 1000, uid=ALICE)
    watches = [Watch(daemon, "--json", one.pid, uid=ALICE) for _ in range(32)]
    for watch in watches:
        watch.wait_ready()
    assert daemon.json("list")[0]["viewers"] == 32
    said = one.run()
    one.end()
    for watch in watches:
        objects = watch.objects(sig=None)
        assert objects[-1] == {"type": "exit", "pid": one.pid}
        events = [o for o in objects if o["type"] == "event"]
        assert len(events) == said["events"]
        assert sum(e["bytes"] for e in events if e["dir"] == "send") == said["sent"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_when_the_last_viewer_goes_the_process_leaves_the_filter(
    daemon: Daemon, traffic: StartTraffic, end: int
) -> None:
    one = traffic("stream", 10)
    first, second = (Watch(daemon, one.pid).wait_ready() for _ in range(2))
    first.finish(end)
    wait_until(lambda: daemon.json("list")[0]["viewers"] == 1)
    second.finish(end)
    wait_until(lambda: daemon.json("list") == [], what="the filter is empty")


def test_what_is_added_stays_and_emits_only_while_someone_watches(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    one = traffic("stream", 100)
    daemon.ctl("add", one.pid)
    one.run()
    assert daemon.status()["events"] == 0
    watch = Watch(daemon, "--json", "--summary", one.pid).wait_ready()
    said = one.run()
    wait_until(lambda: daemon.status()["events"] == said["events"])
    objects = watch.objects()
    # The watch's own summary begins where it began; the daemon's where the process was added.
    assert objects[-1]["total"]["sent_bytes"] == said["sent"]
    assert daemon.summary(one.pid)["total"]["sent_bytes"] == 2 * said["sent"]
    one.run()
    time.sleep(0.1)
    assert daemon.status()["events"] == said["events"]
    (row,) = daemon.json("list")
    assert (row["pid"], row["viewers"], row["added_by"]) == (one.pid, 0, 0)


def test_several_processes_in_one_stream(daemon: Daemon, traffic: StartTraffic) -> None:
    several = [traffic("stream", 200, 10 + i) for i in range(4)]
    watch = Watch(daemon, "--json", "--summary", *(t.pid for t in several)).wait_ready()
    for one in several:
        one.start()
    said = {one.pid: one.result() for one in several}
    for one in several:
        one.end()
    objects = watch.objects(sig=None)
    for pid, result in said.items():
        own = [o for o in objects if o["type"] == "event" and o["pid"] == pid]
        assert len(own) == result["events"]
        assert [o["time"] for o in own] == sorted(o["time"] for o in own)
    assert {o["pid"] for o in objects if o["type"] == "exit"} == set(said)
    assert objects[-1]["total"]["recv_bytes"] == sum(r["recv"] for r in said.values())


def test_what_frames_described_that_were_lost_is_named_all_the_same(
    daemon: Daemon, traffic: StartTraffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RECEIVE_HIGH_WATER", 1)
    # So many datagrams are more than waits for a viewer, so the frames after them are lost.
    one = traffic("kept_pairs", 50, 100_000)
    fields = event_fields("conn")
    named: list[Connection] = []
    lost = 0
    with Client(daemon.run_dir) as client, Session(client, [one.pid]) as session:
        session.attach()
        session.open()
        one.run()
        while not session.ended:
            session.wait(None)
            for item in session.read():
                if isinstance(item, Lost) and not lost:
                    lost = item.events
                    ports = one.run()["ports"]
                    one.end()
                elif isinstance(item, Events) and lost:
                    ids = set(fields.iter_unpack(item.data))
                    named += [session.connection(conn) for (conn,) in ids]
    assert lost > 0
    assert UNKNOWN not in named
    # The unix pair has no names.
    found = {connection.local for connection in named if connection.family == "inet6"}
    assert found == {f"[::1]:{port}" for port in ports}


def test_an_event_is_on_screen_within_0_3_s(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("unix_pair")
    watch = Watch(daemon, "--json", one.pid).wait_ready()
    time.sleep(0.2)
    began = time.time()
    one.run()
    assert watch.process.stdout is not None
    event = json.loads(watch.process.stdout.readline())
    assert time.time() - began < 0.3
    assert abs(event["time"] - began) < 0.2
    watch.finish()


def test_the_event_in_json(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp", uid=ALICE)
    watch = Watch(daemon, "--json", one.pid, uid=ALICE).wait_ready()
    said = one.run()
    events = watch.objects()
    assert list(events[0]) == [
        "type", "time", "pid", "tid", "comm", "dir", "bytes", "family", "proto", "local",
        "remote", "call",
    ]  # fmt: skip
    first = events[0]
    assert first["comm"].startswith("python3")
    assert {k: first[k] for k in ("pid", "tid", "dir", "bytes", "family", "proto", "call")} == {
        "pid": one.pid, "tid": one.pid, "dir": "send", "bytes": 1000, "family": "inet",
        "proto": "tcp", "call": "sendto",
    }  # fmt: skip
    assert (first["local"], first["remote"]) == (said["client"], said["server"])


def test_watch_ends_with_duration_count_and_exit(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 50)
    began = time.monotonic()
    status, out, _ = Watch(daemon, "--duration", "0.5", one.pid).finish(None)
    assert status == 0
    assert 0.5 <= time.monotonic() - began < 5
    assert "SUMMARY STATISTICS" in out
    counting = Watch(daemon, "--json", "--count", "7", one.pid).wait_ready()
    one.run()
    assert len(counting.objects(sig=None)) == 7
    watch = Watch(daemon, one.pid).wait_ready()
    one.end()
    status, out, err = watch.finish(None)
    assert status == 0
    assert f"{one.pid} " in err
    assert "exited" in err


def test_the_summary_alone_needs_no_events(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 50)
    watch = Watch(daemon, "--summary-only", "--json", one.pid).wait_ready()
    said = one.run()
    (summary,) = watch.objects()
    assert summary["total"]["sent_bytes"] == said["sent"]
    # Nobody wanted them, so the kernel emitted none.
    assert daemon.status()["events"] == 0


def test_a_new_name_is_shown(start_daemon: StartDaemon, traffic: StartTraffic) -> None:
    daemon = start_daemon()
    one = traffic("rename", "other name")
    daemon.ctl("add", one.pid)
    one.run()
    wait_until(lambda: daemon.json("list")[0]["comm"] == "other name")
