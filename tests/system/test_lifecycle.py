"""Start, stop, restart: what a daemon owes its administrator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.conftest import TOP, Daemon, StartDaemon, StartTraffic, Watch, wait_until
from tests.system.test_access import children


def programs() -> set[int]:
    """Ids of all BPF programs that are loaded (BPF_PROG_GET_NEXT_ID)."""
    import ctypes
    import struct

    libc, found, last = ctypes.CDLL(None, use_errno=True), set(), 0
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=II", last, 0) + bytes(16))
        number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
        if libc.syscall(number, 11, attr, len(attr)) < 0:
            return found
        last = struct.unpack_from("=II", attr)[1]
        found.add(last)


def programs_of(pid: int) -> set[int]:
    """Ids of the programs that a process holds, or the links of."""
    texts = (path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    found = (re.findall(r"^prog_id:\s*(\d+)$", text, re.M) for text in texts)
    return {int(number) for numbers in found for number in numbers}


def test_sigterm_ends_it_clean(start_daemon: StartDaemon, traffic: StartTraffic) -> None:
    daemon = start_daemon()
    one = traffic("stream", 10)
    watch = Watch(daemon, one.pid).wait_ready()
    own_programs = programs_of(daemon.process.pid)
    assert own_programs
    assert own_programs <= programs()
    own = list(children(daemon.process.pid).values())
    assert daemon.stop() == 0
    assert not daemon.run_dir.exists()
    # Programs go when the last descriptor does, a moment after the processes.
    wait_until(lambda: not programs() & own_programs, what="the programs are gone")
    assert not any(Path(f"/proc/{pid}").exists() for pid in own)
    status, _, err = watch.finish(None)
    assert status != 0
    assert "Traceback" not in err


def test_a_second_daemon_refuses_and_harms_nothing(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp")
    watch = Watch(daemon, "--json", "--summary", one.pid).wait_ready()
    second = subprocess.run(
        [sys.executable, "-m", "netiod", "--run-dir", str(daemon.run_dir)],
        cwd=TOP,
        env=daemon.environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 4
    assert len(second.stderr.splitlines()) == 1
    assert str(daemon.process.pid) in second.stderr
    said = one.run()
    assert watch.objects()[-1]["total"]["sent_bytes"] == said["sent"]


@pytest.mark.faults
def test_it_starts_where_a_killed_daemon_left_its_sockets(start_daemon: StartDaemon) -> None:
    first = start_daemon()
    own = children(first.process.pid).values()
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{p}").exists() for p in own), what="children end")
    assert (first.run_dir / "control.sock").exists()
    refused = first.ctl("list")
    assert refused.returncode == 3
    again = start_daemon(run_dir=first.run_dir)
    assert again.json("list") == []


@pytest.mark.faults
def test_a_gate_that_is_stuck_ends_with_a_daemon_that_is_killed(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon()
    watch = Watch(daemon, "--json", traffic("tcp").pid).wait_ready()
    gate = children(daemon.process.pid)["netiod-gate"]
    # It does not see that nobody is there any more.
    os.kill(gate, signal.SIGSTOP)
    daemon.process.kill()
    daemon.process.wait()
    try:
        wait_until(lambda: not _lives(gate), what="the gate is gone")
    finally:
        if _lives(gate):
            os.kill(gate, signal.SIGKILL)
        watch.finish(signal.SIGINT)


def _lives(pid: int) -> bool:
    """Whether there is such a process that is more than waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.faults
def test_a_killed_broker_comes_back_with_totals_and_what_was_added(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    one = traffic("stream", 100)
    daemon.ctl("add", one.pid)
    said = one.run()
    broker = children(daemon.process.pid)["netiod-broker"]
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: daemon.ctl("list").returncode == 0, what="a new broker serves")
    one.run()
    summary = daemon.summary(one.pid)
    assert summary["total"]["sent_bytes"] == 2 * said["sent"]
    assert [r["pid"] for r in daemon.json("list")] == [one.pid]
    assert daemon.json("list")[0]["added_by"] == 0


@pytest.mark.faults
def test_a_killed_gate_comes_back(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 100)
    watch = Watch(daemon, "--json", "--summary", one.pid).wait_ready()
    gate = children(daemon.process.pid)["netiod-gate"]
    os.kill(gate, signal.SIGKILL)
    wait_until(lambda: children(daemon.process.pid).get("netiod-gate") not in (None, gate))
    time.sleep(1.5)  # the viewer's reconnection
    said = one.run()
    objects = watch.objects()
    assert objects[-1]["total"]["sent_bytes"] == said["sent"]
    assert len([o for o in objects if o["type"] == "event"]) == said["events"]


def test_a_reused_pid_is_another_process(daemon: Daemon, traffic: StartTraffic) -> None:
    last_pid = Path("/proc/sys/kernel/ns_last_pid")
    if not last_pid.exists():
        pytest.skip("this kernel cannot be asked for a PID (CONFIG_CHECKPOINT_RESTORE)")
    first = traffic("tcp")
    daemon.ctl("add", first.pid)
    said = first.run()
    first.end()
    wait_until(lambda: any(r["pid"] == first.pid and r["exited"] for r in daemon.json("list")))
    for _ in range(50):
        last_pid.write_text(str(first.pid - 1))
        second = traffic("stream", 10)
        if second.pid == first.pid:
            break
    else:
        pytest.skip("the PID went to others each time")
    second.run()
    assert daemon.summary(first.pid)["total"]["sent_bytes"] == said["sent"]
    daemon.ctl("add", second.pid)
    result = second.run()
    assert daemon.summary(second.pid)["total"]["sent_bytes"] == result["sent"]


def test_status_says_what_it_is(daemon: Daemon) -> None:
    status = daemon.status()
    assert status["backend"]["name"] == "tracepoint"
    assert status["backend"]["blind"]
    assert status["kernel"] == os.uname().release
    assert status["lost"]["kernel"] == 0
    assert {p["role"] for p in status["processes"]} >= {"supervisor", "broker"}
    assert all(p["rss"] > 0 for p in status["processes"])
    text = daemon.ctl("status").stdout
    for word in ("tracepoint", os.uname().release, "supervisor", "broker", "splice"):
        assert word in text


def test_verbose_shows_each_hook(daemon: Daemon) -> None:
    for hook in ("sock_send_length", "sock_recv_length", "sched_process_exit"):
        assert hook in daemon.log
