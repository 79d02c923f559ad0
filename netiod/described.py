"""Which connections frames have described already, so that most frames need describe none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Places at most, of 4 bytes each, however many connections there may be.
_MOST = 1 << 20

Ids = npt.NDArray[np.uint32]


class Described:
    """Ids of connections, each in a place that follows from it. Where two ids have the same place,
    the later drives the earlier out, which is then described once more: that costs some bytes.
    """

    def __init__(self, connections: int) -> None:
        """`connections`: how many there may be at a time; ids are given in order."""
        places = min(_MOST, 1 << (2 * connections - 1).bit_length())
        self._mask = np.uint32(places - 1)
        # Id 0 means that there is nothing to describe, and is in its place from the beginning.
        self._places = np.zeros(places, np.uint32)

    def lacks(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """For each of these ids, whether it is to be described."""
        return np.not_equal(self._places.take(ids & self._mask), ids)

    def add(self, ids: Sequence[int]) -> None:
        """Frames have described these."""
        numbers = np.asarray(ids, np.uint32)
        self._places[numbers & self._mask] = numbers

    def forget(self, ids: Sequence[int]) -> None:
        """These are to be described again."""
        self._places[np.asarray(ids, np.uint32) & self._mask] = 0
