"""`netioctl watch` as people run it, against a daemon that does what the test says."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from netioctl.wire.endpoints import Connection
from tests.unit.fake_daemon import RECVFROM, FakeDaemon, running, tcp_entry

TOP = Path(__file__).parents[2]
PID = 1234
ENTRY = tcp_entry(1, PID, ("192.168.1.100", 45678), ("93.184.216.34", 80))
CONNECTION = "192.168.1.100:45678 -> 93.184.216.34:80"
WATCHING = "watching 1234 (curl); Ctrl+C ends\n"
ENDS = ("192.168.1.100:45678", "93.184.216.34:80")


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(PID)
        daemon.process(1235, "nginx")
        yield daemon


class Viewer:
    """A netioctl that runs."""

    #: What its environment has besides.
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, daemon: FakeDaemon, *arguments: str, **more: Any) -> None:
        self.daemon = daemon
        # What viewers before this one asked says nothing about it.
        self._before = len(daemon.requests)
        command = [sys.executable, "-W", "error", "-m", "netioctl", *arguments]
        environment = {
            **os.environ,
            "NETIO_RUN_DIR": str(daemon.run_dir),
            "TZ": "UTC",
            "NO_COLOR": "1",
            "PYTHONPATH": str(TOP),
            **self.environment,
        }
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        self.process = subprocess.Popen(command, env=environment, text=True, **options)

    def ready(self) -> Viewer:
        """Wait until it has the stream, or where there is none until it has attached."""
        deadline = time.monotonic() + 10
        streams = "--summary-only" not in self.process.args
        while time.monotonic() < deadline and self.process.poll() is None:
            asked = [name for name, _ in self.daemon.requests[self._before :]]
            if ("sync" if streams else "watch") in asked:
                # The request is answered, and the handlers of signals stand, a moment later.
                time.sleep(0.15)
                return self
            time.sleep(0.005)
        raise AssertionError(f"not ready: {self.process.poll()}")

    def end(self) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        try:
            out, err = self.process.communicate(timeout=20)
        finally:
            self.process.kill()
        assert "Traceback" not in err
        assert "Warning" not in err
        return self.process.returncode, out, err


def _run(daemon: FakeDaemon, *arguments: str) -> tuple[int, str, str]:
    return Viewer(daemon, *arguments).end()


def _watch(daemon: FakeDaemon, *arguments: str, do: Callable[[], None]) -> tuple[int, str, str]:
    """Watch PID, do something once the stream is there, and wait for the end."""
    viewer = Viewer(daemon, "watch", *arguments, str(PID)).ready()
    do()
    return viewer.end()


def _events(daemon: FakeDaemon, count: int, **more: int) -> None:
    events = [daemon.event(tgid=PID, tid=PID, conn=1, **more) for _ in range(count)]
    daemon.publish(PID, *events, entries=[ENTRY])


def _objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_then_the_summary_when_the_process_exits(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 2)
        _events(daemon, 1, dir=1, bytes=1024, call=RECVFROM)
        daemon.processes[PID].row(*ENDS, sent_bytes=1024, recv_bytes=1024, send_ops=2, recv_ops=1)
        daemon.exit(PID)

    status, out, err = _watch(daemon, do=do)
    assert status == 0
    assert out == (
        "TIME     DIR  PID    COMM             BYTES     CONNECTION\n"
        f"18:04:05 SEND 1234   curl             512 bytes  {CONNECTION}\n"
        f"18:04:05 SEND 1234   curl             512 bytes  {CONNECTION}\n"
        f"18:04:05 RECV 1234   curl             1,024 bytes {CONNECTION}\n"
        "\n" + "=" * 80 + "\nSUMMARY STATISTICS\n" + "=" * 80 + "\n"
        "Total Bytes Sent:     1,024 bytes (1.00 KB)\n"
        "Total Bytes Received: 1,024 bytes (1.00 KB)\n"
        "Send Operations:      2\n"
        "Receive Operations:   1\n"
        "\nPer-Connection Statistics:\n" + "-" * 80 + "\n"
        f"{CONNECTION}\n"
        "  Sent: 1,024 bytes, Recv: 1,024 bytes\n"
    ).replace("18:04:05", out.splitlines()[1][:8])
    assert err == WATCHING + "1234 (curl) exited\n"


def test_what_no_frame_describes_is_asked_for_before_it_is_shown(daemon: FakeDaemon) -> None:
    def do() -> None:
        for conn in (1, 1, 2):
            daemon.publish(PID, daemon.event(tgid=PID, tid=PID, conn=conn))
        daemon.exit(PID)

    daemon.connections[1] = Connection(PID, "inet", "tcp", *ENDS)
    status, out, _ = _watch(daemon, "--json", do=do)
    assert status == 0
    events = [value for value in _objects(out) if value["type"] == "event"]
    assert [event["local"] for event in events] == [ENDS[0], ENDS[0], None]
    asked = [params["ids"] for method, params in daemon.requests if method == "describe"]
    assert sorted(number for ids in asked for number in ids) == [1, 2]


def test_what_a_daemon_tells_before_it_describes_is_heard(daemon: FakeDaemon) -> None:
    def exit_() -> None:
        daemon.hooks.clear()
        daemon.exit(PID)

    daemon.hooks["describe"] = exit_
    status, _, err = _watch(
        daemon, do=lambda: daemon.publish(PID, daemon.event(tgid=PID, tid=PID, conn=1))
    )
    assert (status, err) == (0, WATCHING + "1234 (curl) exited\n")


def test_wide(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 1)
        _miss(daemon, 1)
        daemon.exit(PID)

    status, out, err = _watch(daemon, "--wide", do=do)
    header, first, missed, *rest = out.splitlines()
    assert status == 0
    assert re.sub(" +", " ", header) == "TIME DIR PID TID COMM CALL PROTO BYTES CONNECTION"
    assert missed.startswith("-- 1 operation escaped")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.123456 SEND 1234    1234    curl            sendto     tcp +512 "
        + re.escape(CONNECTION),
        first,
    )
    assert "SUMMARY STATISTICS" in rest
    assert err == WATCHING + "1234 (curl) exited\n"


def test_wide_is_not_cut_to_the_terminal(daemon: FakeDaemon) -> None:
    lead, follow = pty.openpty()
    fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    viewer = Viewer(daemon, "watch", "--wide", "--count", "1", str(PID), stdout=follow).ready()
    os.close(follow)
    _events(daemon, 1)
    text = b""
    with contextlib.suppress(OSError):
        while data := os.read(lead, 65536):
            text += data
    os.close(lead)
    assert viewer.end()[0] == 0
    header, event, *_ = text.decode().splitlines()
    assert header.endswith(" CONNECTION")
    assert event.endswith(CONNECTION)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--json", "--wide is for text: --json has every field anyway"),
        ("--summary-only", "--wide is about events, and --summary-only prints none"),
    ],
)
def test_wide_where_it_has_no_meaning(daemon: FakeDaemon, option: str, why: str) -> None:
    status, out, err = _run(daemon, "watch", "--wide", option, str(PID))
    assert (status, out) == (2, "")
    assert err == f"netioctl: {why} (see: netioctl watch --help)\n"
    assert daemon.requests == []


def test_json_has_objects_and_nothing_else(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 2)
        daemon.exit(PID)

    status, out, err = _watch(daemon, "--json", do=do)
    assert (status, err) == (0, WATCHING)
    assert [value["type"] for value in _objects(out)] == ["event", "event", "exit"]
    assert _objects(out)[0]["remote"] == ENDS[1]


def test_json_with_summary(daemon: FakeDaemon) -> None:
    daemon.processes[PID].row(*ENDS, sent_bytes=7, send_ops=1)
    status, out, _ = _watch(daemon, "--json", "--summary", do=lambda: daemon.exit(PID))
    assert status == 0
    values = _objects(out)
    assert [value["type"] for value in values] == ["exit", "summary"]
    assert values[1]["total"]["sent_bytes"] == 7
    assert values[1]["connections"][0]["sent_bytes"] == 7
    assert values[1]["complete"] is True


def test_no_summary(daemon: FakeDaemon) -> None:
    _, out, _ = _watch(daemon, "--no-summary", do=lambda: daemon.exit(PID))
    assert "SUMMARY" not in out
    assert "summary" not in [name for name, _ in daemon.requests]


def test_summary_only_needs_no_stream(daemon: FakeDaemon) -> None:
    daemon.processes[PID].row(*ENDS, sent_bytes=7)
    status, out, _ = _watch(daemon, "--summary-only", do=lambda: daemon.exit(PID))
    assert status == 0
    assert out.startswith("=" * 80)
    assert "sync" not in [name for name, _ in daemon.requests]


def test_count_is_exact_even_within_a_frame(daemon: FakeDaemon) -> None:
    status, out, _ = _watch(daemon, "--json", "--count", "5", do=lambda: _feed(daemon, 3, 4))
    assert status == 0
    assert len(out.splitlines()) == 5
    daemon.requests.clear()
    status, out, _ = _watch(
        daemon, "--summary-only", "--count", "5", do=lambda: _wait_and_feed(daemon)
    )
    assert status == 0
    assert out.startswith("====")


def _feed(daemon: FakeDaemon, *sizes: int) -> None:
    for size in sizes:
        _events(daemon, size)


def _wait_and_feed(daemon: FakeDaemon) -> None:
    deadline = time.monotonic() + 5
    while "sync" not in [name for name, _ in daemon.requests] and time.monotonic() < deadline:
        time.sleep(0.01)
    _feed(daemon, 3, 4)


def test_duration(daemon: FakeDaemon) -> None:
    began = time.monotonic()
    status, out, _ = _run(daemon, "watch", "--duration", "0.3s", str(PID))
    assert status == 0
    assert "SUMMARY STATISTICS" in out
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_watch_with_its_summary(daemon: FakeDaemon, number: int) -> None:
    viewer = Viewer(daemon, "watch", str(PID)).ready()
    _events(daemon, 1)
    time.sleep(0.2)
    viewer.process.send_signal(number)
    status, out, _ = viewer.end()
    assert status == 0
    assert "SEND" in out
    assert "SUMMARY STATISTICS" in out


def test_ctrl_c_before_anything_is_watched(daemon: FakeDaemon) -> None:
    release = threading.Event()
    daemon.hooks["watch"] = lambda: (release.wait(10), None)[1]
    viewer = Viewer(daemon, "watch", str(PID))
    while "watch" not in [name for name, _ in daemon.requests]:
        time.sleep(0.01)
    viewer.process.send_signal(signal.SIGINT)
    status, out, err = viewer.end()
    release.set()
    assert (status, out, err) == (130, "", "")


def test_losses_are_shown_where_they_happened(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 1)
        _events(daemon, 1, lost=1204)
        daemon.processes[PID].published += 311
        _events(daemon, 1, lost=1204)
        daemon.exit(PID)

    status, out, _ = _watch(daemon, "--json", do=do)
    assert status == 0
    assert [(v["type"], v.get("events"), v.get("stage")) for v in _objects(out)] == [
        ("event", None, None),
        ("lost", 1204, "kernel"),
        ("event", None, None),
        ("lost", 311, "stream"),
        ("event", None, None),
        ("exit", None, None),
    ]


ESCAPED = "-- {} operations escaped the kernel's hooks: totals may be short by them --"


def _miss(daemon: FakeDaemon, operations: int) -> None:
    """Between what came before and what comes after, on whichever way it comes."""
    time.sleep(0.2)
    daemon.miss(operations)
    time.sleep(0.2)


def test_operations_that_escaped_are_shown_where_it_happened(daemon: FakeDaemon) -> None:
    daemon.missed = 100

    def do() -> None:
        _events(daemon, 1)
        _miss(daemon, 12)
        _events(daemon, 1)
        _miss(daemon, 5)
        daemon.exit(PID)

    status, out, err = _watch(daemon, do=do)
    assert status == 0
    event = f" SEND 1234   curl             512 bytes  {CONNECTION}"
    assert [line[8:] if "SEND" in line else line for line in out.splitlines()[1:5]] == [
        event,
        ESCAPED.format(12),
        event,
        ESCAPED.format(5),
    ]
    assert "Not complete:         up to 17 operations escaped (of all processes)\n" in out
    assert err == WATCHING + "1234 (curl) exited\n"


def test_operations_that_escaped_in_json(daemon: FakeDaemon) -> None:
    daemon.missed = 100

    def do() -> None:
        _events(daemon, 1)
        _miss(daemon, 12)
        # What is not news is not told again.
        daemon.notify("missed", operations=112)
        daemon.notify("missed", operations=50)
        daemon.exit(PID)

    status, out, _ = _watch(daemon, "--json", "--summary", do=do)
    assert status == 0
    values = _objects(out)
    assert [value["type"] for value in values] == ["event", "missed", "exit", "summary"]
    assert values[1] == {"type": "missed", "operations": 12}
    assert (values[3]["missed"], values[3]["complete"]) == (12, False)


@pytest.mark.parametrize("fresh", [True, False])
def test_what_escaped_before_the_watch_does_not_concern_it(daemon: FakeDaemon, fresh: bool) -> None:
    daemon.missed = 100
    daemon.processes[PID].fresh = fresh
    _, out, _ = _watch(daemon, "--json", "--summary-only", do=lambda: daemon.exit(PID))
    (value,) = _objects(out)
    assert (value["missed"], value["complete"]) == (0, True)


@pytest.mark.parametrize("fresh", [True, False])
def test_the_summary_alone_says_how_many_escaped(daemon: FakeDaemon, fresh: bool) -> None:
    daemon.missed = 100
    daemon.processes[PID].fresh = fresh

    def do() -> None:
        daemon.miss(3)
        time.sleep(0.2)
        # Between the last notification and the end.
        daemon.missed = 104
        daemon.exit(PID)

    _, out, _ = _watch(daemon, "--summary-only", do=do)
    assert "operations escaped the kernel" not in out
    assert "Not complete:         up to 4 operations escaped (of all processes)\n" in out


def test_what_escaped_just_before_ctrl_c_is_told(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", "--json", str(PID)).ready()
    time.sleep(0.2)
    # netiod tells before it answers: there may be no later occasion.
    daemon.hooks["sync"] = lambda: daemon.miss(7)
    viewer.process.send_signal(signal.SIGINT)
    status, out, _ = viewer.end()
    assert status == 0
    assert _objects(out) == [{"type": "missed", "operations": 7}]


def test_a_daemon_that_does_not_tell_how_many_escaped(daemon: FakeDaemon) -> None:
    daemon.missed = None
    daemon.complete = False
    status, out, _ = _watch(daemon, "--summary-only", do=lambda: daemon.exit(PID))
    assert status == 0
    assert "Not complete:         some operations escaped the counters\n" in out


def test_events_that_are_late_are_waited_for_and_then_lost(daemon: FakeDaemon) -> None:
    def late() -> None:
        # The notification overtakes two frames, the second of which never comes.
        frame = daemon.frame(PID, daemon.event(tgid=PID))
        daemon.processes[PID].published += 9
        daemon.exit(PID)
        time.sleep(0.3)
        daemon.send(frame)

    status, out, _ = _watch(daemon, "--json", do=late)
    assert status == 0
    values = _objects(out)
    assert [value["type"] for value in values] == ["event", "lost", "exit"]
    assert (values[1]["events"], values[1]["stage"]) == (9, "stream")


def test_the_summary_covers_this_watch_only(daemon: FakeDaemon) -> None:
    process = daemon.processes[PID]
    process.fresh = False
    process.row(*ENDS, sent_bytes=1000, send_ops=10)

    def do() -> None:
        process.row(*ENDS, sent_bytes=1500, send_ops=11)
        daemon.exit(PID)

    _, out, _ = _watch(daemon, "--json", "--summary-only", do=do)
    (value,) = _objects(out)
    assert value["total"] == {"sent_bytes": 500, "recv_bytes": 0, "send_ops": 1, "recv_ops": 0}
    assert value["connections"][0]["sent_bytes"] == 500
    assert value["since"] > process.since + 1


def test_several_processes(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", "--json", "--summary", str(PID), "1235").ready()
    daemon.processes[PID].row(*ENDS, sent_bytes=1)
    daemon.processes[1235].row(*ENDS, sent_bytes=2)
    _events(daemon, 1)
    daemon.publish(1235, daemon.event(tgid=1235, bytes=9))
    daemon.exit(1235)
    time.sleep(0.3)
    assert viewer.process.poll() is None
    # What a process had counted when it exited stays, whatever becomes of its PID.
    daemon.processes[1235].row(*ENDS, sent_bytes=77)
    daemon.exit(PID)
    status, out, _ = viewer.end()
    values = _objects(out)
    assert status == 0
    assert {(v["pid"], v["comm"], v["bytes"]) for v in values if v["type"] == "event"} == {
        (PID, "curl", 512),
        (1235, "nginx", 9),
    }
    assert [v["pid"] for v in values if v["type"] == "exit"] == [1235, PID]
    assert values[-1]["total"]["sent_bytes"] == 3
    assert sorted((r["pid"], r["sent_bytes"]) for r in values[-1]["connections"]) == [
        (PID, 1),
        (1235, 2),
    ]


def test_one_pid_of_several_fails(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", "4194304", str(PID)).ready()
    daemon.exit(PID)
    status, out, err = viewer.end()
    assert status == 1
    assert "SUMMARY STATISTICS" in out
    assert "netioctl: no such process: 4194304\n" in err


def test_all_pids_fail(daemon: FakeDaemon) -> None:
    status, out, err = _run(daemon, "watch", "4194304", "4194303")
    assert (status, out) == (1, "")
    assert err == ("netioctl: no such process: 4194304\nnetioctl: no such process: 4194303\n")


def test_many_processes_are_named_briefly(daemon: FakeDaemon) -> None:
    pids = [daemon.process(pid).pid for pid in range(2000, 2300)]
    arguments = ["watch", "--duration", "0.1", *map(str, pids)]
    status, _, err = _run(daemon, *arguments)
    assert status == 0
    assert "2004 (curl) and 295 more; Ctrl+C ends" in err


def test_a_process_that_exits_before_the_stream_is_there(daemon: FakeDaemon) -> None:
    def exit_at_once() -> None:
        daemon.processes[PID].published = 5
        del daemon.hooks["sync"]
        daemon.exit(PID)

    daemon.hooks["sync"] = exit_at_once
    status, _, err = _run(daemon, "watch", str(PID))
    assert status == 0
    assert "1234 (curl) exited" in err


def test_the_daemon_goes_away(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 1)
        time.sleep(0.2)
        daemon.close()

    status, out, err = _watch(daemon, do=do)
    assert status == 3
    assert "SEND" in out
    assert "SUMMARY" not in out
    assert err.splitlines() == [
        WATCHING[:-1],
        "netiod has ended the connection: waiting for the next, up to 10 s",
        "netioctl: the totals of this watch are unknown: netiod ended the connection at "
        f"{daemon.run_dir}/control.sock and has not come back for 10 s "
        "(check: systemctl status netiod); see: netioctl doctor",
    ]


def test_ctrl_c_twice_ends_what_waits_for_the_daemon(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", str(PID)).ready()
    daemon.close()
    time.sleep(0.2)
    viewer.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    # The totals are still hoped for.
    assert viewer.process.poll() is None
    viewer.process.send_signal(signal.SIGINT)
    status, out, _ = viewer.end()
    assert status == 130
    assert "SUMMARY" not in out


def test_the_connection_ends_together_with_the_process(daemon: FakeDaemon) -> None:
    process = daemon.processes[PID]

    def die() -> None:
        del daemon.hooks["summary"]
        daemon.gone = {PID}
        daemon.drop()

    def do() -> None:
        daemon.hooks["summary"] = die
        _events(daemon, 1)
        process.row(*ENDS, sent_bytes=512, send_ops=1)
        daemon.exit(PID)

    status, out, err = _watch(daemon, "--json", "--summary", do=do)
    assert status == 0, err
    values = _objects(out)
    assert [value["type"] for value in values] == ["event", "interrupted", "exit", "summary"]
    assert values[1]["events"] == 0
    assert values[3]["total"]["sent_bytes"] == 512


def test_the_broker_begins_anew(daemon: FakeDaemon) -> None:
    def do() -> None:
        _events(daemon, 1)
        time.sleep(0.2)
        daemon.epoch = 2
        daemon.processes[PID].published = 0
        _events(daemon, 1)
        time.sleep(0.3)
        _events(daemon, 1)
        daemon.exit(PID)

    status, out, err = _watch(daemon, "--json", do=do)
    assert (status, err) == (0, WATCHING)
    values = _objects(out)
    kinds = ["event", "interrupted", "event", "event", "exit"]
    assert [value["type"] for value in values] == kinds
    # Its index ran backwards: who knows what was between.
    assert values[1]["events"] is None
    assert [name for name, _ in daemon.requests].count("watch") == 2


def _again(daemon: FakeDaemon) -> None:
    """Another broker: the connections are lost, indices go on."""
    time.sleep(0.2)
    for process in daemon.processes.values():
        process.fresh = False
    daemon.epoch += 1
    daemon.drop()
    deadline = time.monotonic() + 5
    while [name for name, _ in daemon.requests].count("watch") < daemon.epoch:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)


def test_an_interruption_is_told_where_it_happened(daemon: FakeDaemon) -> None:
    process = daemon.processes[PID]

    def do() -> None:
        _events(daemon, 2)
        time.sleep(0.2)
        # 30 that nobody saw, and 12 for which there was no room meanwhile.
        process.published += 30
        process.lost = 12
        _again(daemon)
        _events(daemon, 1, lost=12)
        process.row(*ENDS, sent_bytes=900, send_ops=45)
        daemon.exit(PID)

    status, out, err = _watch(daemon, do=do)
    assert (status, err) == (0, WATCHING + "1234 (curl) exited\n")
    lines = out.splitlines()
    assert ["SEND" in line for line in lines[1:5]] == [True, True, False, True]
    assert re.fullmatch(
        r"-- stream interrupted 0\.\d s, 42 events not shown; totals are complete --", lines[3]
    )
    assert "Send Operations:      45" in lines
    assert "Not complete" not in out


def test_an_interruption_in_json(daemon: FakeDaemon) -> None:
    def do() -> None:
        daemon.processes[PID].published += 1
        _again(daemon)
        _again(daemon)
        daemon.exit(PID)

    status, out, _ = _watch(daemon, "--json", do=do)
    assert status == 0
    first, second, last = _objects(out)
    assert list(first) == ["type", "seconds", "events"]
    assert (first["type"], first["events"]) == ("interrupted", 1)
    assert 0 <= first["seconds"] < 1
    assert second["events"] == 0
    assert last["type"] == "exit"


def test_another_gate(daemon: FakeDaemon) -> None:
    """Told by the daemon: the gap is not the viewer's fault. Later ones are."""

    def do() -> None:
        _events(daemon, 1)
        daemon.processes[PID].published += 7
        daemon.replaced = 1
        daemon.notify("interrupted", seconds=0.5, replaced=1)
        time.sleep(0.3)
        _events(daemon, 1)
        daemon.processes[PID].published += 5
        _events(daemon, 1)
        daemon.exit(PID)

    status, out, _ = _watch(daemon, "--json", do=do)
    assert status == 0
    assert [(v["type"], v.get("events")) for v in _objects(out)] == [
        ("event", None),
        ("interrupted", 7),
        ("event", None),
        ("lost", 5),
        ("event", None),
        ("exit", None),
    ]
    assert 0.5 <= _objects(out)[1]["seconds"] < 1.5
    assert [name for name, _ in daemon.requests].count("watch") == 1


@pytest.mark.parametrize("kept", [True, False])
def test_a_process_that_is_gone_after_an_interruption(daemon: FakeDaemon, kept: bool) -> None:
    viewer = Viewer(daemon, "watch", "--json", "--summary", str(PID), "1235").ready()
    process = daemon.processes[PID]
    process.published += 3
    process.row(*ENDS, sent_bytes=77, send_ops=3)
    daemon.processes[1235].row(*ENDS, sent_bytes=1, send_ops=1)
    daemon.gone = {PID}
    if not kept:
        del daemon.processes[PID]
    _again(daemon)
    daemon.exit(1235)
    status, out, _ = viewer.end()
    gap, first, second, summary = _objects(out)
    assert (gap["type"], gap["events"]) == ("interrupted", 3 if kept else None)
    assert (first["pid"], second["pid"]) == (PID, 1235)
    assert summary["total"]["sent_bytes"] == (78 if kept else 1)
    assert summary["complete"] is kept
    assert status == 0


def test_a_pid_that_is_another_process_after_an_interruption(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", "--json", str(PID), "1235").ready()
    daemon.processes[PID].start += 5
    time.sleep(0.1)
    daemon.epoch += 1
    daemon.drop()
    deadline = time.monotonic() + 5
    while [name for name, _ in daemon.requests].count("watch") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # The lease on the stranger ended with a connection; the last one does not ask for it.
    assert [p["pids"] for name, p in daemon.requests if name == "watch"][1:] == [
        [PID, 1235],
        [1235],
    ]
    daemon.exit(1235)
    status, out, _ = viewer.end()
    assert status == 0
    assert [value["pid"] for value in _objects(out) if value["type"] == "exit"] == [PID, 1235]


@pytest.mark.parametrize("told", [True, False])
def test_another_daemon(daemon: FakeDaemon, told: bool) -> None:
    process = daemon.processes[PID]
    process.fresh = False
    process.row(*ENDS, sent_bytes=1000, send_ops=10)
    daemon.missed = 50

    def do() -> None:
        process.row(*ENDS, sent_bytes=1500, send_ops=11)
        if told:
            daemon.notify("ending", pid=PID, start=process.start, total=process.total())
            time.sleep(0.1)
        # The next one counts from zero.
        process.attached += 1
        process.published = 0
        daemon.missed = 2
        process.row(*ENDS, sent_bytes=0, send_ops=0)
        _again(daemon)
        process.row(*ENDS, sent_bytes=7, send_ops=1)
        daemon.exit(PID)

    status, out, _ = _watch(daemon, do=do)
    assert status == 0
    assert "an unknown number of events not shown --\n" in out
    assert f"Total Bytes Sent:     {507 if told else 7} bytes\n" in out
    assert (
        "Not complete:         netiod was restarted meanwhile\n"
        "Not complete:         up to 2 operations escaped (of all processes)\n"
    ) in out


def test_the_summary_alone_outlives_an_interruption(daemon: FakeDaemon) -> None:
    def do() -> None:
        _again(daemon)
        daemon.processes[PID].row(*ENDS, sent_bytes=7, send_ops=1)
        daemon.exit(PID)

    status, out, err = _watch(daemon, "--summary-only", do=do)
    assert (status, err) == (0, WATCHING + "1234 (curl) exited\n")
    assert out.startswith("====")
    assert "Total Bytes Sent:     7 bytes" in out


def test_ctrl_c_during_an_interruption_still_has_the_totals(daemon: FakeDaemon) -> None:
    release = threading.Event()
    viewer = Viewer(daemon, "watch", str(PID)).ready()
    daemon.hooks["hello"] = lambda: (release.wait(10), None)[1]
    daemon.drop()
    time.sleep(0.3)
    viewer.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    daemon.processes[PID].row(*ENDS, sent_bytes=7, send_ops=1)
    release.set()
    status, out, _ = viewer.end()
    assert status == 0
    assert "-- stream interrupted 0." in out
    assert "Total Bytes Sent:     7 bytes" in out


def test_a_next_daemon_of_another_version(daemon: FakeDaemon) -> None:
    def do() -> None:
        daemon.answers["hello"] = {
            "error": {"code": -32004, "message": "netiod 9 speaks protocol 9"}
        }
        daemon.drop()

    status, _, err = _watch(daemon, do=do)
    assert status == 1
    assert err == WATCHING + "netioctl: netiod 9 speaks protocol 9\n"


def test_a_lease_that_is_taken_away(daemon: FakeDaemon) -> None:
    start = daemon.processes[PID].start
    status, out, err = _watch(
        daemon,
        "--json",
        do=lambda: daemon.notify("revoked", pid=PID, start=start, reason="be\x1bcause"),
    )
    assert (status, out) == (1, "")
    assert err == WATCHING + "netioctl: 1234 (curl) is watched no longer: be\\x1bcause\n"


def test_another_layout(daemon: FakeDaemon) -> None:
    daemon.layout = 1
    status, out, err = _run(daemon, "watch", str(PID))
    assert (status, out) == (1, "")
    assert "same version" in err
    assert len(err.splitlines()) == 1


def test_a_silent_stream(daemon: FakeDaemon) -> None:
    daemon.answers["sync"] = {"result": {"published": {}}}
    status, out, err = _run(daemon, "watch", str(PID))
    assert (status, out) == (3, "")
    assert "has been silent for 5 s" in err


def test_a_reader_that_goes_ends_the_viewer_though_nothing_happens(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", str(PID)).ready()
    assert viewer.process.stdout is not None
    viewer.process.stdout.readline()
    viewer.process.stdout.close()
    assert viewer.process.wait(5) == 141
    assert viewer.process.stderr is not None
    with viewer.process.stderr as errors:
        assert errors.read() == WATCHING


def test_head(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", "--json", str(PID))
    assert viewer.process.stdout is not None
    head = subprocess.Popen(
        ["head", "-n", "3"], stdin=viewer.process.stdout, stdout=subprocess.PIPE, text=True
    )
    viewer.process.stdout.close()
    viewer.ready()
    with contextlib.suppress(OSError):
        for _ in range(100):
            _events(daemon, 1000)
    assert len(head.communicate(timeout=10)[0].splitlines()) == 3
    assert viewer.process.wait(10) == 141
    assert viewer.process.stderr is not None
    with viewer.process.stderr as errors:
        assert errors.read() == WATCHING


def test_a_closed_stdout(daemon: FakeDaemon) -> None:
    for verb in (["watch", str(PID)], ["list"], ["--version"], ["--help"]):
        command = [sys.executable, "-m", "netioctl", *verb]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", *command],
            env={**os.environ, "NETIO_RUN_DIR": str(daemon.run_dir), "PYTHONPATH": str(TOP)},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert verb == ["--help"] or done.returncode == 141


def test_a_full_disk(daemon: FakeDaemon) -> None:
    with open("/dev/full", "w") as full:
        viewer = Viewer(daemon, "list", stdout=full)
        assert viewer.process.stderr is not None
        with viewer.process.stderr as errors:
            assert errors.read() == "netioctl: cannot go on: No space left on device\n"
        assert viewer.process.wait(5) == 1


@pytest.mark.parametrize("columns", [1, 10, 79, 80])
def test_a_narrow_terminal(daemon: FakeDaemon, columns: int) -> None:
    lead, follow = pty.openpty()
    fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    viewer = Viewer(daemon, "watch", str(PID), stdout=follow).ready()
    os.close(follow)
    daemon.processes[PID].row(*ENDS, sent_bytes=512)
    _events(daemon, 2)
    daemon.exit(PID)
    text = b""
    with contextlib.suppress(OSError):
        while data := os.read(lead, 65536):
            text += data
    os.close(lead)
    assert viewer.end()[0] == 0
    lines = text.decode().splitlines()
    events, rest = lines[:3], "\n".join(lines[3:])
    assert all(len(line) <= columns for line in events)
    assert "SUMMARY STATISTICS" in rest
    if columns == 80:
        assert re.fullmatch(r"\S{8} SEND 1234 .* …:45678 -> 93\.184\.216\.34:80", events[1])


def test_nothing_in_a_name_reaches_the_terminal_raw(daemon: FakeDaemon) -> None:
    daemon.processes[PID].comm = "\x1b[31mred"

    def do() -> None:
        _events(daemon, 1)
        daemon.exit(PID)

    _, out, err = _watch(daemon, do=do)
    assert "\x1b" not in out + err
    assert "\\x1b[31mred" in out
    assert "\\x1b[31mred" in err
