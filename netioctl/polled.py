"""Waiting for others' descriptors beside one's own, as Session and Replay do."""

from __future__ import annotations

import select

#: poll() takes no more than an int of milliseconds.
_LONGEST = 3600.0


class Polled:
    """Has a poll object, `_poll`, and knows which descriptors in it are others'."""

    _poll: select.poll
    _others: list[int]

    def register(self, descriptor: int, events: int) -> None:
        """Have wait() also return when this descriptor is ready (events as select.poll's)."""
        self._poll.register(descriptor, events)
        self._others.append(descriptor)

    def unregister(self, descriptor: int) -> None:
        """Undo register(), unless finish() has."""
        if descriptor in self._others:
            self._others.remove(descriptor)
            self._poll.unregister(descriptor)

    def _unregister_all(self) -> None:
        for descriptor in self._others:
            self._poll.unregister(descriptor)
        self._others.clear()

    def _ready(self, seconds: float | None) -> set[int]:
        """The descriptors that are ready within so many seconds; None: however long it takes."""
        if seconds is None:
            return {fd for fd, _ in self._poll.poll()}
        # Parts of a millisecond are rounded up.
        return {fd for fd, _ in self._poll.poll(min(_LONGEST, max(0.0, seconds)) * 1000)}
