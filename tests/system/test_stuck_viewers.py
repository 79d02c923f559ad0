"""Viewers that stop, do not read, or die: nobody else loses anything, and memory stays bounded."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.conftest import TOP, Daemon, StartTraffic, Traffic, wait_until
from tests.system.test_access import children

#: Datagrams of a round, each two events: a burst at full speed that fits the queue of a viewer.
#: So many rounds are ten times what waits at most for one that has stopped.
A_ROUND, ROUNDS = 25_000, 24
#: What netiod may grow by on account of who does not read.
MOST_GROWTH = 32 << 20

StartCounter = Callable[..., "Counter"]


class Counter:
    """counter.py: a viewer that keeps up with full speed."""

    def __init__(self, daemon: Daemon, pid: int, progress: Path) -> None:
        self._progress = progress
        command = [sys.executable, "-m", "tests.system.counter", str(daemon.run_dir), str(pid)]
        command.append(str(self._progress))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=TOP, env=daemon.environment
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def read(self) -> int:
        """How many events it has read so far."""
        return int.from_bytes(self._progress.read_bytes()[:8], "little")

    def result(self) -> dict[str, int]:
        """What it has read, when the process has exited."""
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        found: dict[str, int] = json.loads(out)
        return found


@pytest.fixture
def counter(daemon: Daemon, tmp_path: Path) -> Iterator[StartCounter]:
    """Start counters; they are ended with the test."""
    started: list[Counter] = []

    def start(pid: int) -> Counter:
        started.append(Counter(daemon, pid, tmp_path / f"counter{len(started)}"))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def memory(daemon: Daemon) -> int:
    """The sum of PSS of netiod's processes, in bytes."""
    pids = [daemon.process.pid, *children(daemon.process.pid).values()]
    text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(kb) << 10 for kb in re.findall(r"^Pss: +(\d+) kB", text, re.M))


class Raw:
    """A viewer that speaks just enough ZMTP 3.0 to subscribe, and then reads what it likes."""

    def __init__(self, daemon: Daemon, pid: int) -> None:
        self._control = daemon.connect()
        request = {"jsonrpc": "2.0", "id": 1, "method": "watch", "params": {"pids": [pid]}}
        self._control.sendall(json.dumps(request).encode() + b"\n")
        with self._control.makefile("rb") as lines:
            answer = json.loads(lines.readline())["result"]
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.settimeout(10)
        self.stream.connect(answer["endpoint"][len("ipc://") :])
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        ready = b"\x05READY\x0bSocket-Type" + (3).to_bytes(4, "big") + b"SUB"
        self.stream.sendall(greeting + b"\x04" + bytes([len(ready)]) + ready)
        # The gate's own: not before it has sent that does it take a subscription.
        self.stream.recv(64 + 2 + len(ready), socket.MSG_WAITALL)
        topic = b"\x01" + answer["processes"][0]["topic"].encode()
        self.stream.sendall(b"\x00" + bytes([len(topic)]) + topic)

    def close(self) -> None:
        """Go away."""
        self.stream.close()
        self._control.close()


class Run(NamedTuple):
    """What some seconds of traffic have come to: events, and the most that netiod grew, bytes."""

    events: int
    grown: int


def run(daemon: Daemon, one: Traffic, others: list[Counter], during: Callable[[int], None]) -> Run:
    """Rounds at full speed, in each of which `during` is called with its number.

    Between two of them all `others` catch up, which they can only if they lose nothing: on a
    machine with few CPUs they would else be too slow by themselves.
    """
    before = most = memory(daemon)
    sent = 0
    for number in range(ROUNDS):
        one.start()
        during(number)
        sent += one.result()["events"]
        wait_until(lambda sent=sent: all(each.read() == sent for each in others), 10, "all read")
        most = max(most, memory(daemon))
    return Run(sent, most - before)


def nothing_lost(counters: list[Counter], events: int) -> None:
    """Whether each has read every event."""
    for each in counters:
        found = each.result()
        assert found == {**dict.fromkeys(found, 0), "events": events}


def test_one_of_eight_viewers_is_stopped(
    daemon: Daemon, traffic: StartTraffic, counter: StartCounter
) -> None:
    one = traffic("stream", A_ROUND)
    others = [counter(one.pid) for _ in range(7)]
    stopped = counter(one.pid)

    def stop(number: int) -> None:
        if number == 0:
            stopped.process.send_signal(signal.SIGSTOP)

    whole = run(daemon, one, others, stop)
    before = stopped.read()
    stopped.process.send_signal(signal.SIGCONT)
    # It goes on: what happens from some time on is read.
    wait_until(lambda: (one.run(), stopped.read() > before)[1], what="it goes on")
    events = whole.events
    one.end()
    found = stopped.result()
    assert found["stream"] > 0
    total = {each["events"] for each in (other.result() for other in others)}
    assert total == {found["events"] + found["stream"]}
    assert found["events"] + found["stream"] >= events
    assert whole.grown <= MOST_GROWTH


@pytest.mark.parametrize("how", ["reads nothing", "reads a byte a second"])
def test_a_viewer_that_does_not_read(
    daemon: Daemon, traffic: StartTraffic, counter: StartCounter, how: str
) -> None:
    one = traffic("stream", A_ROUND)
    others = [counter(one.pid) for _ in range(2)]
    raw = Raw(daemon, one.pid)
    ended = threading.Event()

    def read_slowly() -> None:
        with contextlib.suppress(OSError):
            while raw.stream.recv(1) and not ended.wait(1):
                pass

    slow = threading.Thread(target=read_slowly if how != "reads nothing" else ended.wait)
    slow.start()
    whole = run(daemon, one, others, lambda _number: None)
    ended.set()
    slow.join()
    raw.close()
    one.end()
    nothing_lost(others, whole.events)
    assert whole.grown <= MOST_GROWTH


def test_sixty_four_stuck_viewers_one_after_another(
    daemon: Daemon, traffic: StartTraffic, counter: StartCounter
) -> None:
    one = traffic("stream", A_ROUND)
    others = [counter(one.pid) for _ in range(2)]
    stuck: list[Raw] = []

    def come_and_go(_number: int) -> None:
        for raw in stuck:
            raw.close()
        stuck[:] = [Raw(daemon, one.pid) for _ in range(-(-64 // ROUNDS))]

    whole = run(daemon, one, others, come_and_go)
    for raw in stuck:
        raw.close()
    one.end()
    nothing_lost(others, whole.events)
    assert whole.grown <= MOST_GROWTH


def test_a_killed_viewer_is_noticed_by_nobody_else(
    daemon: Daemon, traffic: StartTraffic, counter: StartCounter
) -> None:
    one = traffic("stream", A_ROUND)
    others = [counter(one.pid) for _ in range(2)]
    killed = counter(one.pid)

    def kill(number: int) -> None:
        if number == 3:
            killed.process.kill()

    whole = run(daemon, one, others, kill)
    wait_until(lambda: daemon.json("list")[0]["viewers"] == 2, what="its lease is gone")
    one.end()
    nothing_lost(others, whole.events)
