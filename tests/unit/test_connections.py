"""How users share the room for connections."""

from __future__ import annotations

import pytest

from netiod.connections import fair_share


@pytest.mark.parametrize(
    ("counts", "room", "share"),
    [
        ([], 10, 0),
        ([4], 10, 4),
        ([40], 10, 10),
        ([3, 40], 10, 7),
        ([40, 3], 10, 7),
        ([40, 40], 10, 5),
        ([1, 2, 30, 40], 10, 3),
        ([2, 3, 5], 10, 5),
        ([9] * 20, 10, 0),
    ],
)
def test_who_has_little_keeps_it(counts: list[int], room: int, share: int) -> None:
    assert fair_share(counts, room) == share
    assert sum(min(count, share) for count in counts) <= room
