"""What a workload's process is subjected to while its speed is taken, in general."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench.context import Context


class Seen(NamedTuple):
    """Events that somebody got, and that were lost, since it began; None: it does not tell.

    `lost_in_kernel`: no room in a buffer; `lost_in_daemon`: after that.
    """

    events: int | None = None
    lost_in_kernel: int | None = None
    lost_in_daemon: int | None = None

    def since(self, before: Seen) -> Seen:
        """The difference."""
        pairs = zip(self, before)
        return Seen(*(None if now is None or was is None else now - was for now, was in pairs))


@dataclass(frozen=True)
class Watcher:
    """Who watches: processes whose CPU time is its own, and what it says of events."""

    pids: tuple[int, ...]
    seen: Callable[[], Seen] = Seen


class Condition(NamedTuple):
    """`apply` is given the workload's PID. When it is entered, the watcher watches already; when
    it is left, nothing of it is left.

    `apply` raises Unavailable where the machine lacks what it takes.
    """

    name: str
    what: str
    apply: Callable[[Context, int], AbstractContextManager[Watcher]]
