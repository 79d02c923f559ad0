"""Stream frames, there and back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netioctl.wire import PROTOCOL_VERSION, frames
from netioctl.wire.errors import ProtocolError, VersionMismatch

SIZE = 32


def _header(**changes: int) -> frames.Header:
    header = frames.Header(
        PROTOCOL_VERSION, 0, 0xABCD, 7, 1000, 2, 1, 555, 1234, 0, 9, -5, b"curl".ljust(16, b"\0")
    )
    return header._replace(**changes)


def _entry(**changes: object) -> frames.Entry:
    entry = frames.Entry(3, 77, bytes(range(64)), b"/run/a.sock", b"\0name")
    return entry._replace(**changes)


def test_there_and_back() -> None:
    events, entry = b"e" * 2 * SIZE, _entry()
    frame = frames.topic(1234) + _header().pack() + events + frames.pack_entry(entry)
    header, data, tail = frames.unpack(frame, SIZE)
    assert header == _header()
    assert bytes(data) == events
    assert list(frames.entries(tail)) == [entry]


def test_entries_are_padded_and_follow_each_other() -> None:
    entries = [_entry(id=n, local=b"x" * n, remote=b"") for n in range(20)]
    packed = b"".join(map(frames.pack_entry, entries))
    assert len(packed) % 8 == 0
    assert list(frames.entries(memoryview(packed))) == entries


_u32 = st.integers(0, (1 << 32) - 1)
_name = st.binary(max_size=108)
_comm = st.binary(max_size=frames.MAX_COMM).map(lambda raw: raw.replace(b"\0", b"x"))
_any_entry = st.builds(
    frames.Entry, _u32, _u32, st.binary(min_size=64, max_size=64), _name, _name, _comm
)


@given(st.lists(_any_entry, max_size=5))
def test_any_entries_come_back_as_they_were(entries: list[frames.Entry]) -> None:
    packed = list(map(frames.pack_entry, entries))
    assert all(len(each) % 8 == 0 for each in packed)
    assert list(frames.entries(memoryview(b"".join(packed)))) == entries


@given(_any_entry)
def test_who_knows_no_name_of_the_peer_reads_the_same_entry(entry: frames.Entry) -> None:
    """The name is in what was padding before, so the fixed part and the names do not move."""
    packed, without = frames.pack_entry(entry), frames.pack_entry(entry._replace(comm=b""))
    used = frames.ENTRY_FIXED + len(entry.local) + len(entry.remote)
    assert packed[4:used] == without[4:used]
    assert 0 <= len(packed) - used - len(entry.comm) < 8


def test_the_kernels_name_of_the_peer_ends_at_its_nul() -> None:
    packed = frames.pack_entry(_entry(comm=b"postgres\0\xffjunk\0\0"))
    assert next(frames.entries(memoryview(packed))).comm == b"postgres"
    assert packed == frames.pack_entry(_entry(comm=b"postgres"))


def test_a_name_of_the_peer_that_is_too_long_is_cut() -> None:
    packed = frames.pack_entry(_entry(comm=b"x" * 40))
    assert next(frames.entries(memoryview(packed))).comm == b"x" * 16
    # So much may stand there in an entry of a later version.
    later = (len(packed) + 24).to_bytes(4, "little") + packed[4:] + b"y" * 24
    assert next(frames.entries(memoryview(later))).comm == b"x" * 16


def test_the_dot_keeps_topics_apart() -> None:
    assert not frames.topic(1234).startswith(frames.topic(123))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"pid",
        b"pid.1234",
        b"pid.1234." + b"\0" * 79,
        b"x" * 200,
        frames.topic(1) + _header(conns=0).pack() + b"e" * (2 * SIZE - 1),
        frames.topic(1) + _header(events=0xFFFFFFFF, conns=0).pack() + b"e" * 64,
        frames.topic(1) + _header(conns=2).pack() + b"e" * 64 + frames.pack_entry(_entry()),
    ],
)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises((ProtocolError, VersionMismatch)):
        frames.unpack(frame, SIZE)


def test_another_version_is_named() -> None:
    frame = frames.topic(1) + _header(version=9, events=0, conns=0).pack()
    with pytest.raises(VersionMismatch, match="protocol 9"):
        frames.unpack(frame, SIZE)


@pytest.mark.parametrize("size", [0, 8, 79, 1 << 31])
def test_an_entry_of_wrong_size_is_refused(size: int) -> None:
    packed = size.to_bytes(4, "little") + frames.pack_entry(_entry())[4:]
    with pytest.raises(ProtocolError):
        list(frames.entries(memoryview(packed)))


def test_a_cut_entry_is_refused() -> None:
    with pytest.raises(ProtocolError):
        list(frames.entries(memoryview(frames.pack_entry(_entry())[:40])))
