from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from netioctl.wire.errors import NetioError, PrerequisiteError, ProtocolError
from netiod import channel, descriptors, handover

Ends = tuple[channel.Channel, channel.Channel, socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Supervisor's and broker's channel, and the sockets below them."""
    one, other = descriptors.pair()
    one.setblocking(False)
    with one, other:
        yield channel.Channel(one, channel.FROM_BROKER), channel.Channel(other), one, other


def fill(sock: socket.socket) -> int:
    """How many of the largest frames go into it until it is full."""
    for count in range(1000):
        try:
            sock.send(b"x" * 65536)
        except BlockingIOError:
            return count
    return 1000


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_the_broker_says_arrives_in_order(ends: Ends) -> None:
    supervisor, broker, _, _ = ends
    broker.ready()
    broker.open_gate(1000)
    broker.close_gate(channel.OPERATORS)
    broker.alive()
    heard = [supervisor.receive() for _ in range(4)]
    assert [(m.op, m.uid) for m in heard if m] == [
        (channel.READY, 0),
        (channel.OPEN_GATE, 1000),
        (channel.CLOSE_GATE, channel.OPERATORS),
        (channel.ALIVE, 0),
    ]
    with pytest.raises(BlockingIOError):
        supervisor.receive()


def test_a_gate_comes_with_its_socket(ends: Ends) -> None:
    supervisor, broker, _, _ = ends
    source, sink = channel.data_pair()
    with source, sink:
        supervisor.send(channel.GATE, 1000, 42, source)
        message = broker.receive()
        assert message is not None
        assert message[:3] == (channel.GATE, 1000, 42)
        assert message.sock is not None
        with message.sock as sock:
            assert not os.get_inheritable(sock.fileno())
            sock.send(b"x" * 65536)
            assert len(sink.recv(65537)) == 65536
            # It never blocks: frames are dropped rather than waited for.
            assert fill(sock) < 1000


def test_data_pair_holds_many_frames() -> None:
    source, sink = channel.data_pair()
    with source, sink:
        assert fill(source) >= 40


def test_the_end_is_none(ends: Ends) -> None:
    supervisor, broker, one, other = ends
    other.close()
    assert supervisor.receive() is None
    one.close()
    assert broker.fileno() == -1


def test_the_end_with_messages_unread_is_none(ends: Ends) -> None:
    supervisor, _, one, other = ends
    one.send(b"never read")
    other.close()
    assert supervisor.receive() is None


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        struct.pack("<II", 1, 0),
        struct.pack("<IIII", 1, 0, 0, 0),
        b"x" * 60000,
        struct.pack("<III", 0, 0, 0),
        struct.pack("<III", channel.HOOKS, 0, 0),
        struct.pack("<III", 9, 0, 0),
        struct.pack("<III", channel.GATE, 0, 0),
        struct.pack("<III", 0xFFFFFFFF, 0, 0),
    ],
)
def test_malformed_messages_are_refused(ends: Ends, data: bytes) -> None:
    supervisor, _, _, other = ends
    other.send(data)
    with pytest.raises(ProtocolError):
        supervisor.receive()


def test_the_supervisor_takes_no_descriptors(ends: Ends) -> None:
    supervisor, broker, _, other = ends
    before = open_fds()
    broker.send(channel.READY, sock=other)
    with pytest.raises(ProtocolError):
        supervisor.receive()
    assert open_fds() == before


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_gate_has_one_descriptor(ends: Ends, count: int) -> None:
    _, broker, one, _ = ends
    before = open_fds()
    descriptors.send(one, struct.pack("<III", channel.GATE, 1, 2), [one.fileno()] * count)
    with pytest.raises(ProtocolError):
        broker.receive()
    assert open_fds() == before


def test_the_handover_keeps_names_and_descriptors_together(ends: Ends) -> None:
    supervisor, broker, _, other = ends
    reader, writer = os.pipe()
    try:
        fds = {f"map:{i}": writer for i in range(60)}
        before = open_fds()
        supervisor.hand_over(handover.Loaded({"ring_size": 4096}, fds))
        assert handover.peek_info(other) == {"ring_size": 4096}
        loaded = broker.receive_handover()
        assert loaded.info == {"ring_size": 4096}
        assert list(loaded.fds) == list(fds)
        assert open_fds() == before + 60
        for fd in loaded.fds.values():
            assert os.fstat(fd).st_ino == os.fstat(writer).st_ino
            assert not os.get_inheritable(fd)
        loaded.close()
        assert open_fds() == before
    finally:
        os.close(reader)
        os.close(writer)


def test_links_stay_with_the_supervisor() -> None:
    loaded = handover.Loaded({}, {"map:a": 10, "prog:b": 11, "link:b": 12})
    assert handover.for_broker(loaded).fds == {"map:a": 10, "prog:b": 11}


def test_the_loader_speaks() -> None:
    loader, supervisor = descriptors.pair()
    with loader, supervisor:
        handover.send_log(loader, "hook \ud800 attached" + "x" * 100000)
        message = handover.receive(supervisor)
        assert isinstance(message, handover.Log)
        assert message.text.startswith("hook")
        for error, kind in ((NetioError("no"), NetioError), (PrerequisiteError("no"),) * 2):
            handover.send_error(loader, error)
            failure = handover.receive(supervisor)
            assert isinstance(failure, handover.Failure)
            assert type(failure.error) is (kind if isinstance(kind, type) else type(kind))
            assert str(failure.error) == "no"


@pytest.mark.parametrize(
    "data",
    [b"{", b"\xff", b"[]", b"{}", b'{"type":"x"}', b'{"type":"loaded","info":{},"fds":["a"]}'],
)
def test_what_is_no_handover_is_refused(data: bytes) -> None:
    one, other = descriptors.pair()
    with one, other:
        one.send(data)
        with pytest.raises(ProtocolError):
            handover.receive_loaded(other)
        one.close()
        with pytest.raises(ProtocolError):
            handover.receive_loaded(other)
