"""Who is served next: users in turn, each for a slice of time and within a rate.

The loop of the broker is one thread. A user who asks much waits for the own turn; all others wait
for a slice of that user's at most.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from netiod.limits import COST, REQUESTS_A_SECOND, REQUESTS_AT_ONCE, Bucket

#: Seconds of one user's turn.
SLICE = 0.001


class Worker(Protocol):
    """What has work to be done in pieces: a connection."""

    def step(self) -> float:
        """Do a piece; its cost in requests, or less than 0: there is no more to do."""


class _User:
    def __init__(self, now: float) -> None:
        self.bucket = Bucket(REQUESTS_A_SECOND, REQUESTS_AT_ONCE, now)
        self.queue: deque[Worker] = deque()
        self.due = 0.0


class Turns:
    """The users who have work; uid 0 has no rate."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        late: Callable[[int], None] = lambda _uid: None,
    ) -> None:
        """`late` is told each uid that has to wait for its rate."""
        self._clock, self._late = clock, late
        self._users: dict[int, _User] = {}

    def add(self, uid: int, worker: Worker) -> None:
        """`worker` has work, and is not here yet."""
        user = self._users.get(uid)
        if user is None:
            user = self._users[uid] = _User(self._clock())
        user.queue.append(worker)

    def round(self) -> None:
        """One turn for each user who may have one."""
        now = self._clock()
        for uid, user in list(self._users.items()):
            if user.queue and user.due <= now:
                self._turn(uid, user)

    def deadline(self) -> float | None:
        """When round() has something to do (monotonic seconds; the past: now); None: it has not."""
        return min((user.due for user in self._users.values() if user.queue), default=None)

    def tick(self) -> None:
        """Now and then: forget who asks nothing."""
        now = self._clock()
        for uid, user in list(self._users.items()):
            if not user.queue and user.bucket.full(now):
                del self._users[uid]

    def _turn(self, uid: int, user: _User) -> None:
        began = before = self._clock()
        while user.queue and before - began < SLICE:
            worker = user.queue.popleft()
            cost = worker.step()
            now = self._clock()
            if cost >= 0:
                user.queue.append(worker)
            if uid != 0:
                user.bucket.charge(max(cost, (now - before) / COST))
                wait = user.bucket.wait(now)
                if wait > 0:
                    user.due = now + wait
                    if user.queue:
                        self._late(uid)
                    return
            before = now
