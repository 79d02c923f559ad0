"""What a broker leaves to the next, wherever it was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from netiod import ledger
from netiod.kernel import Kernel
from netiod.ledger import Entry, Ledger

UIDS = (1000, 1000, 1000, 1000)


@pytest.fixture
def memory() -> Iterator[int]:
    fd = ledger.create(4)
    yield fd
    os.close(fd)


def left(memory: int, position: int) -> list[Entry]:
    """What the next broker finds, where the ring has been read so far."""
    return list(Ledger(memory, 4).recover(position))


def test_an_index_goes_on_whether_or_not_the_last_events_were_taken(memory: int) -> None:
    one = Ledger(memory, 4)
    one.begin(7, 700, UIDS, "curl")
    one.take([(7, 700, 0, 10)], 400)
    one.take([(7, 700, 10, 5)], 600)
    assert left(memory, 400) == [Entry(7, 700, UIDS, "curl", 10, False)]
    assert left(memory, 600) == [Entry(7, 700, UIDS, "curl", 15, False)]
    # Others' events have been taken since.
    assert left(memory, 10_000)[0].published == 15


def test_what_has_exited_and_what_is_forgotten(memory: int) -> None:
    one = Ledger(memory, 4)
    for pid in (7, 8, 9):
        one.begin(pid, 700, UIDS, "curl")
        one.take([(pid, 700, 0, pid)], 400)
    one.end(7, 700, 70)
    one.forget(8, 700)
    one.disown(9, 700)
    found = {entry.pid: entry for entry in left(memory, 0)}
    assert found == {
        7: Entry(7, 700, UIDS, "curl", 70, True),
        9: Entry(9, 700, None, "curl", 0, False),
    }


def test_places_are_used_again_and_there_is_an_end_of_them(memory: int) -> None:
    one = Ledger(memory, 4)
    for pid in range(1, 100):
        one.begin(pid, 1, UIDS, "")
        one.forget(pid, 1)
    assert left(memory, 0) == []
    two = Ledger(memory, 4)
    assert list(two.recover(0)) == []
    for pid in range(1, 100):
        two.begin(pid, 1, UIDS, "")
        two.take([(pid, 1, 0, 1)], 40)
    assert [entry.pid for entry in left(memory, 40)] == sorted(range(1, 10))


def test_no_broker_can_cut_it_short(memory: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 0)


class _Words:
    """The filter's map, and each value that it has had."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words, self.written = words, []  # type: ignore[var-annotated]

    def get(self, key: bytes) -> bytes | None:
        return self.words.get(int.from_bytes(key, "little"), 0).to_bytes(8, "little")

    def put(self, key: bytes, value: bytes) -> None:
        index = int.from_bytes(key, "little")
        self.words[index] = int.from_bytes(value, "little")
        self.written.append((index, self.words[index]))


def test_neighbours_in_the_filter_are_never_out_of_it() -> None:
    """Their bits share a word, and a broker that takes over writes one process after another."""
    kernel: Any = object.__new__(Kernel)
    kernel._words = {}
    # PIDs 32, 33 and 47 in one word; 40 has exited meanwhile.
    kernel._filter = _Words({2: 0x1 | 0x3 << 4 | 0x1 << 32 | 0x1 << 60})
    assert kernel.keep_filter([32, 33, 47]) == {32: 1, 33: 3, 47: 1}
    for pid, flags in ((32, 1), (33, 1), (47, 1)):
        kernel.set_filter(pid, flags)
    kept = 0x1 | 0x1 << 4 | 0x1 << 60
    assert all(word & kept == kept for _, word in kernel._filter.written)
    assert kernel._filter.words == {2: kept}
