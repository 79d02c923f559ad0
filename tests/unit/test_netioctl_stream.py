"""From frames to events and losses."""

from __future__ import annotations

import pytest

from netioctl import stream
from netioctl.answers import Process
from netioctl.stream import Events, Lost, Reader
from netioctl.wire import PROTOCOL_VERSION, frames, layout
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import LayoutError, ProtocolError
from tests.unit.fake_daemon import tcp_entry

PID, START = 1234, 123400
EVENT = layout.load().structs["event"]
U32 = 1 << 32


def _process(pid: int = PID) -> Process:
    return Process(pid, pid * 100, "curl", 0, 0.0, f"pid.{pid}.", None, True)


def _frame(
    first: int,
    lost_before: list[int] | None = None,
    *,
    lost: int | None = None,
    entries: list[frames.Entry] | None = None,
    **changes: int | bytes,
) -> bytes:
    """A frame whose events have these cumulative losses before them."""
    before, entries = lost_before or [], entries or []
    header = frames.Header(
        PROTOCOL_VERSION,
        0,
        layout.load().fingerprint,
        1,
        first,
        len(before),
        len(entries),
        START,
        PID,
        0,
        lost if lost is not None else (before[-1] if before else 0),
        0,
        b"curl".ljust(16, b"\0"),
    )._replace(**changes)
    data = b"".join(
        EVENT.pack(lost=value % U32, bytes=at + 1, conn=3) for at, value in enumerate(before)
    )
    return frames.topic(PID) + header.pack() + data + b"".join(map(frames.pack_entry, entries))


@pytest.fixture
def reader() -> Reader:
    reader = Reader()
    reader.follow([_process()])
    return reader


def _shape(reader: Reader, *many: bytes) -> list[object]:
    """The number of events, or what was lost, of each item."""
    return [
        item.number if isinstance(item, Events) else (item.stage, item.events)
        for frame in many
        for item in reader.read(frame)
    ]


def test_events_come_as_they_are(reader: Reader) -> None:
    reader.read(_frame(10))
    (item,) = reader.read(_frame(10, [0, 0, 0], wall_offset=-7))
    assert isinstance(item, Events)
    assert (item.pid, item.comm, item.wall_offset, item.number) == (PID, "curl", -7, 3)
    assert [EVENT.unpack(item.data, at)["bytes"] for at in (0, 32, 64)] == [1, 2, 3]
    assert reader.expected(PID) == 13


def test_what_was_lost_before_the_first_frame_is_not_told(reader: Reader) -> None:
    assert _shape(reader, _frame(1000, lost=77), _frame(1000, [77, 77])) == [2]


def test_the_first_frame_may_have_events(reader: Reader) -> None:
    assert _shape(reader, _frame(1000, [77, 77, 80])) == [2, ("kernel", 3), 1]


def test_a_gap_in_the_indices(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(5, [0, 0]), _frame(7, [0])) == [("stream", 5), 2, 1]


def test_a_gap_that_only_an_empty_frame_shows(reader: Reader) -> None:
    assert _shape(reader, _frame(0, [0]), _frame(4)) == [1, ("stream", 3)]


def test_losses_stand_where_they_happened(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(0, [0, 4, 4, 9])) == [
        1,
        ("kernel", 4),
        2,
        ("kernel", 5),
        1,
    ]


def test_a_loss_that_no_event_has_followed_yet_is_told_once(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(0, [0], lost=6), _frame(1, [6, 6])) == [
        1,
        ("kernel", 6),
        2,
    ]
    # The header was filled after the ring was drained: it may know more than the next event.
    assert _shape(reader, _frame(3, [6], lost=10), _frame(4, [8, 10, 11])) == [
        1,
        ("kernel", 4),
        2,
        ("kernel", 1),
        1,
    ]


def test_both_kinds_of_loss_at_one_place(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(3, [5])) == [("stream", 3), ("kernel", 5), 1]


def test_the_count_of_losses_wraps(reader: Reader) -> None:
    begin = U32 - 2
    assert _shape(
        reader,
        _frame(0, lost=begin),
        _frame(0, [begin, U32 + 3], lost=U32 + 3),
        _frame(2, lost=U32 + 4),
    ) == [1, ("kernel", 5), 1, ("kernel", 1)]


def test_events_of_another_process_are_passed_over(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(0, [0], tgid=99)) == []
    assert _shape(reader, _frame(0, [0], start=START + 1)) == []
    reader.forget(PID)
    assert _shape(reader, _frame(0, [0])) == []
    assert reader.expected(PID) is None


def test_events_that_come_twice_are_shown_once(reader: Reader) -> None:
    assert _shape(reader, _frame(0), _frame(0, [0, 0]), _frame(1, [0, 0]), _frame(0, [0])) == [
        2,
        1,
    ]
    assert reader.expected(PID) == 3


def test_another_run_of_the_broker(reader: Reader) -> None:
    entry = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.2", 2))
    reader.read(_frame(100, [7], entries=[entry]))
    assert reader.connection(3).remote == "10.0.0.2:2"
    assert not reader.interrupted
    assert _shape(reader, _frame(0, epoch=2)) == []
    assert reader.interrupted
    assert reader.connection(3) == UNKNOWN
    assert _shape(reader, _frame(0, [0, 0], epoch=2)) == [2]


def test_connections_are_remembered_and_replaced(reader: Reader) -> None:
    one = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.2", 2))
    two = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.9", 9))
    reader.read(_frame(0, [0], entries=[one]))
    generation = reader.generation
    reader.read(_frame(1, [0]))
    reader.read(_frame(2, [0], entries=[one]))
    assert reader.connection(3).remote == "10.0.0.2:2"
    assert reader.generation == generation
    reader.read(_frame(3, [0], entries=[two]))
    assert reader.connection(3).remote == "10.0.0.9:9"
    assert reader.generation > generation
    assert reader.connection(4) == UNKNOWN


def test_a_peer_without_a_path_is_named(reader: Reader) -> None:
    ident = layout.load().structs["ident"].pack(family=1, type=1, tgid=PID)
    entry = frames.Entry(3, 4711, ident, b"", b"", b"postgres")
    reader.read(_frame(0, [0], entries=[entry]))
    assert reader.connection(3).remote == "pid 4711 (postgres)"
    generation = reader.generation
    reader.read(_frame(1, [0], entries=[entry._replace(comm=b"other")]))
    assert reader.connection(3).remote == "pid 4711 (other)"
    assert reader.generation > generation


def test_memory_for_connections_is_bounded(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_CONNECTIONS", 4)
    for ident in range(1, 10):
        entry = tcp_entry(ident, PID, ("10.0.0.1", ident), ("10.0.0.2", 2))
        reader.read(_frame(ident, [0], entries=[entry]))
    assert reader.connection(5) == UNKNOWN
    assert reader.connection(9).local == "10.0.0.1:9"


def test_what_no_frame_described_is_to_be_asked_for(reader: Reader) -> None:
    entry = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.2", 2))
    reader.read(_frame(0, [0]))
    assert reader.unknown == {3}
    described = Connection(PID, "inet", "tcp", "10.0.0.1:1", "10.0.0.2:2")
    reader.learn({3: described})
    assert reader.connection(3) == described
    generation = reader.generation
    reader.read(_frame(1, [0]))
    reader.read(_frame(2, [0], entries=[entry]))
    assert (reader.unknown, reader.generation) == (set(), generation)


def test_what_nobody_knows_is_asked_for_once(reader: Reader) -> None:
    reader.read(_frame(0, [0]))
    reader.learn({})
    reader.read(_frame(1, [0]))
    assert (reader.unknown, reader.connection(3)) == (set(), UNKNOWN)
    entry = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.2", 2))
    reader.read(_frame(2, [0], entries=[entry]))
    assert reader.connection(3).remote == "10.0.0.2:2"


def test_what_a_later_frame_describes_is_not_asked_for(reader: Reader) -> None:
    reader.read(_frame(0, [0]))
    entry = tcp_entry(3, PID, ("10.0.0.1", 1), ("10.0.0.2", 2))
    reader.read(_frame(1, [0], entries=[entry]))
    assert reader.unknown == set()


def test_a_forgotten_connection_is_asked_for(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_CONNECTIONS", 4)
    entries = [tcp_entry(ident, PID, ("10.0.0.1", ident), ("10.0.0.2", 2)) for ident in range(3, 9)]
    reader.read(_frame(0, [0], entries=entries))
    assert reader.unknown == {3}


def test_a_name_that_is_not_utf8(reader: Reader) -> None:
    reader.read(_frame(0))
    (item,) = reader.read(_frame(0, [0], comm=b"\xff\x1bx".ljust(16, b"\0")))
    assert isinstance(item, Events)
    assert item.comm == "\\xff\x1bx"


def test_another_layout_is_refused(reader: Reader) -> None:
    with pytest.raises(LayoutError, match="same version"):
        reader.read(_frame(0, layout=1))
    with pytest.raises(LayoutError):
        stream.check_layout(1)


def test_garbage_is_refused(reader: Reader) -> None:
    with pytest.raises(ProtocolError):
        reader.read(b"hello")


def test_a_lost_item_names_its_process(reader: Reader) -> None:
    reader.read(_frame(0))
    assert list(reader.read(_frame(2))) == [Lost(PID, 2, "stream")]
