from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from netioctl.wire.frames import MAX_FRAME
from netiod import channel, children, confine, gate, privileges
from netiod.sockets import RunDirectory, gate_path
from tests.unit.access_list import access_list

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ALICE, BOB = 54321, 54322
PATIENCE = 10.0


class Gate:
    """A gate of ALICE's in a process of its own, as the supervisor makes it."""

    def __init__(self, directory: RunDirectory) -> None:
        self.path = gate_path(directory.path, ALICE)
        listener = directory.gate_listener(ALICE, None)
        self.data, sink = channel.data_pair()
        account = privileges.find_account("nobody")

        def body() -> int:
            context = gate.make_context()
            confine.as_gate(account, directory.path, os.getppid())
            return gate.run(listener, self.path, sink, context)

        with listener, sink:
            self.pid = children.fork("test-gate", body, [listener.fileno(), sink.fileno()])

    def send(self, frame: bytes) -> None:
        """Wait for room; the real broker drops instead."""
        self.send_at_once([frame])

    def send_at_once(self, frames: list[bytes]) -> None:
        """Several in one message."""
        self.data.settimeout(PATIENCE)
        self.data.send(b"".join(channel.LENGTH.pack(len(frame)) + frame for frame in frames))

    def end(self) -> str:
        self.data.close()
        return children.describe(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    with tempfile.TemporaryDirectory(prefix="netio-test-") as name:
        os.chmod(name, 0o755)
        with RunDirectory(name + "/run") as held:
            yield held


@pytest.fixture
def served(directory: RunDirectory) -> Iterator[Gate]:
    made = Gate(directory)
    yield made
    if made.data.fileno() >= 0:
        assert made.end() == "ended with status 0"


class Viewers:
    """Subscribers of this process."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []

    def __enter__(self) -> Viewers:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close(linger=0)
        self._context.term()

    def subscribe(self, made: Gate, topic: bytes = b"pid.1.") -> zmq.Socket[bytes]:
        """A viewer whose subscription holds."""
        viewer = self._context.socket(zmq.SUB)
        self._sockets.append(viewer)
        viewer.setsockopt(zmq.RCVTIMEO, int(PATIENCE * 1000))
        viewer.setsockopt(zmq.RECONNECT_IVL, 20)
        viewer.setsockopt(zmq.SUBSCRIBE, topic)
        viewer.connect(f"ipc://{made.path}")
        synchronize(made, viewer, topic)
        return viewer


@pytest.fixture
def viewers() -> Iterator[Viewers]:
    with Viewers() as made:
        yield made


def synchronize(made: Gate, viewer: zmq.Socket[bytes], topic: bytes = b"pid.1.") -> None:
    """Send frames until one comes through."""
    until = time.monotonic() + PATIENCE
    number = 0
    while not viewer.poll(20):
        assert time.monotonic() < until, "no frame came"
        number += 1
        made.send(topic + b"sync %d" % number)
    # Some may still be on their way: the last one sent is the last to come.
    while viewer.recv() != topic + b"sync %d" % number:
        pass


def test_frames_arrive_whole_and_in_order(served: Gate, viewers: Viewers) -> None:
    viewer = viewers.subscribe(served)
    frames = [b"pid.1." + bytes([n]) * size for n, size in enumerate((0, 1, 1000, 65530))]
    for frame in frames:
        served.send(frame)
    assert [viewer.recv() for _ in frames] == frames
    assert not viewer.getsockopt(zmq.RCVMORE)


def test_a_burst_of_small_frames_arrives(served: Gate, viewers: Viewers) -> None:
    viewer = viewers.subscribe(served)
    # No more than SNDHWM: these wait for the viewer.
    for number in range(60):
        served.send(b"pid.1.%d" % number)
    assert [viewer.recv() for _ in range(60)] == [b"pid.1.%d" % n for n in range(60)]


def test_frames_in_one_message_arrive_one_by_one(served: Gate, viewers: Viewers) -> None:
    viewer = viewers.subscribe(served)
    served.send_at_once([b"pid.1.a", b"pid.2.b", b"pid.1.", b"pid.1.c" * 1000])
    assert [viewer.recv() for _ in range(3)] == [b"pid.1.a", b"pid.1.", b"pid.1.c" * 1000]


def test_the_largest_frame_arrives(served: Gate, viewers: Viewers) -> None:
    viewer = viewers.subscribe(served)
    frame = b"pid.1.".ljust(MAX_FRAME, b".")
    served.send(frame)
    assert viewer.recv() == frame


def test_more_frames_at_once_than_wait_for_a_viewer_arrive(served: Gate, viewers: Viewers) -> None:
    """As when many processes did something at the same time."""
    viewer = viewers.subscribe(served)
    frames = [b"pid.1.%d" % number for number in range(225)]

    def arrived() -> list[bytes]:
        served.send_at_once(frames)
        found = []
        while viewer.poll(300):
            found.append(viewer.recv())
        return found

    # A machine that is busy may have no time for them: not five times in a row.
    assert any(arrived() == frames for _ in range(5))


def test_only_what_was_subscribed_to_arrives(served: Gate, viewers: Viewers) -> None:
    one, other = (viewers.subscribe(served, b"pid.%d." % pid) for pid in (12, 123))
    for pid in (12, 123, 12):
        served.send(b"pid.%d.x" % pid)
    assert [one.recv(), one.recv()] == [b"pid.12.x"] * 2
    assert other.recv() == b"pid.123.x"


def test_a_viewer_comes_back_to_the_next_gate(directory: RunDirectory, viewers: Viewers) -> None:
    first = Gate(directory)
    viewer = viewers.subscribe(first)
    assert first.end() == "ended with status 0"
    second = Gate(directory)
    synchronize(second, viewer)
    assert second.end() == "ended with status 0"


@pytest.mark.parametrize(("uid", "may"), [(0, True), (ALICE, True), (BOB, False)])
def test_who_may_connect(served: Gate, uid: int, may: bool) -> None:
    def body() -> int:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(served.path)
            except PermissionError:
                return 13
        return 0

    pid = children.fork("test-viewer", body, [])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (0 if may else 13)
    assert f"uid {ALICE} 6" in access_list(served.path)


def test_it_has_nothing_to_lose(served: Gate, viewers: Viewers) -> None:
    # Its answer means that it runs, without privileges.
    viewers.subscribe(served)
    assert Path(f"/proc/{served.pid}/comm").read_text() == "test-gate\n"
    status = Path(f"/proc/{served.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    limits = Path(f"/proc/{served.pid}/limits").read_text().splitlines()
    found = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert found["Max address space"] == [str(gate.MEMORY_LIMIT)] * 2
    assert found["Max open files"] == [str(gate.VIEWERS_LIMIT)] * 2


def test_noise_on_the_socket_harms_no_viewer(served: Gate, viewers: Viewers) -> None:
    viewer = viewers.subscribe(served)
    noise = []
    for _ in range(50):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(served.path)
        sock.settimeout(0.1)
        noise.append(sock)
        sock.send(b"\xff" * 5000)
    served.send(b"pid.1.x")
    assert viewer.recv() == b"pid.1.x"
    for sock in noise:
        sock.close()
    served.send(b"pid.1.y")
    assert viewer.recv() == b"pid.1.y"


@pytest.mark.parametrize("stopped", [1, 32])
def test_viewers_who_stopped_cost_no_one_else_a_frame(served: Gate, stopped: int) -> None:
    """Frames pile up for those who read nothing, within the gate's memory."""

    def stop() -> int:
        with Viewers() as viewers:
            for _ in range(stopped):
                viewers.subscribe(served)
            # As a whole, libzmq's own thread too.
            os.kill(os.getpid(), signal.SIGSTOP)
        return 0

    pid = children.fork("test-stopped", stop, [served.data.fileno()])
    try:
        os.waitpid(pid, os.WUNTRACED)
        with Viewers() as viewers:
            viewer = viewers.subscribe(served)
            for number in range(200):
                frame = b"pid.1.%d" % number
                served.send(frame.ljust(65536, b"."))
                assert viewer.recv().startswith(frame)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
