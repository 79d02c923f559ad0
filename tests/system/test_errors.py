"""`watch --errors`: operations that failed, beside what the calls of the process said."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest

from tests.system.conftest import TRAFFIC, Daemon, StartDaemon, StartTraffic, Watch, wait_until

#: Sends and receives that fail, in a round of the traffic.
_A_ROUND = 7


def test_what_fails_is_shown_by_its_name_and_counts_nowhere(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    one = traffic("failures", 3)
    as_json = Watch(daemon, "--json", "--errors", "--summary", one.pid).wait_ready()
    text = Watch(daemon, "--errors", "--no-summary", one.pid).wait_ready()
    wide = Watch(daemon, "--errors", "--wide", "--no-summary", one.pid).wait_ready()
    as_csv = Watch(daemon, "--errors", "--csv", one.pid).wait_ready()
    resets = Watch(daemon, "--errors", "--recv", "--proto", "tcp", "--json", one.pid).wait_ready()
    plain = Watch(daemon, "--json", one.pid).wait_ready()
    said = one.run()
    failed = [tuple(each) for each in said["failed"]]
    assert len(failed) == 3 * _A_ROUND

    *events, summary = as_json.objects()
    assert [(e["call"], e["dir"].upper(), e["error"]) for e in events] == failed
    assert {e["bytes"] for e in events} == {0}
    assert all(e["local"] for e in events if e["proto"] in ("tcp", "udp"))
    assert summary["total"]["sent_bytes"] == said["sent"]
    assert summary["total"]["recv_bytes"] == said["recv"]
    assert (summary["total"]["send_ops"], summary["total"]["recv_ops"]) == (3 * 3, 3 * 2)

    rows = [line.split() for line in text.finish()[1].splitlines()]
    assert rows[0][4] == "ERROR"
    assert [(row[1], row[4]) for row in rows[1:]] == [(way, name) for _, way, name in failed]
    rows = [line.split() for line in wide.finish()[1].splitlines()]
    assert [(row[5], row[1], row[7]) for row in rows] == [("CALL", "DIR", "ERROR"), *failed]
    found = csv.DictReader(io.StringIO(as_csv.finish()[1], newline=""))
    assert [(row["call"], row["dir"].upper(), row["error"]) for row in found] == failed
    names = [event["error"] for event in resets.objects()]
    assert names == ["ECONNRESET", "ENOTCONN"] * 3

    # Who did not ask for them sees none, although they come by the same stream.
    events = plain.objects()
    assert sum(e["bytes"] for e in events) == said["sent"] + said["recv"]
    assert all(e["bytes"] and "error" not in e for e in events)


def test_failures_of_what_is_chosen_and_of_children(daemon: Daemon) -> None:
    watch = Watch(
        daemon, "--json", "--errors", "--follow", "--wait", "--name", "fails-first"
    ).wait_ready()
    code = (
        "import socket, subprocess, sys\n"
        "open('/proc/self/comm', 'w').write('fails-first')\n"
        "with socket.socket() as one:\n"
        "    try:\n"
        "        one.recv(1)\n"
        "    except OSError:\n"
        "        pass\n"
        "subprocess.run([sys.executable, *sys.argv[1:]], input=b'go\\n', check=True)\n"
    )
    command = [sys.executable, "-c", code, str(TRAFFIC), "failures"]
    subprocess.run(command, check=True, capture_output=True, cwd="/")
    shown = watch.objects()
    events = [each for each in shown if each["type"] == "event"]
    began = [each for each in shown if each["type"] == "began"]
    assert began[0]["comm"] == "fails-first"
    assert events[0]["error"] == "ENOTCONN"
    assert events[0]["pid"] == began[0]["pid"]
    assert len(events) == 1 + _A_ROUND
    assert {each["pid"] for each in events[1:]} == {began[1]["pid"]}


def test_failures_go_on_after_the_broker_was_killed(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon()
    one = traffic("failures")
    watch = Watch(daemon, "--json", "--errors", one.pid).wait_ready()
    broker = next(p["pid"] for p in daemon.status()["processes"] if p["role"] == "broker")
    subprocess.run(["kill", "-9", str(broker)], check=True)
    # Whatever the moment, each is shown or counted as one that was missed.
    failed = one.run()["failed"]
    wait_until(lambda: daemon.json("list"), what="a new broker")
    again = traffic("failures")
    more = Watch(daemon, "--json", "--errors", again.pid).wait_ready()
    assert len(again.run()["failed"]) == len(more.objects()) == _A_ROUND
    shown = watch.objects()
    events = [each for each in shown if each["type"] == "event"]
    missed = sum(each["events"] for each in shown if each["type"] == "interrupted")
    # Operations that did not fail pass with them, and are among those that were missed.
    assert len(failed) <= len(events) + missed <= len(failed) + 5


def test_a_viewer_that_leaves_takes_its_wish_along(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("failures")
    daemon.ctl("add", one.pid)
    asked = Watch(daemon, "--errors", one.pid).wait_ready()
    asked.finish()
    before = daemon.status()["events"]
    plain = Watch(daemon, "--json", one.pid).wait_ready()
    one.run()
    assert len(plain.objects()) == 5
    assert daemon.status()["events"] - before == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--errors", "--min-bytes", "1", 1), ("--errors", "--min-bytes")),
        (("--errors", "--from", "x.netio"), ("--errors", "recording")),
        (("--errors", "--interval", "1", 1), ("filters", "--interval")),
    ],
)
def test_what_has_no_meaning_with_errors_is_refused(
    daemon: Daemon, arguments: tuple[object, ...], words: tuple[str, ...]
) -> None:
    done = daemon.ctl("watch", *arguments)
    assert done.returncode == 2
    assert all(word in done.stderr.splitlines()[-1] for word in words)


def test_a_back_end_that_sees_no_failures_says_so(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon("--backend", "syscall")
    done = daemon.ctl("watch", "--errors", traffic("failures").pid)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "back-end syscall does not see operations that fail" in line
