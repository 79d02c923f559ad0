"""A process that is held, and who holds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from netioctl.wire import frames
from netiod.policy import Caller
from netiod.processes import Process


class Viewer(Protocol):
    """Who holds a lease: a control connection."""

    caller: Caller


# Compared by identity: two are never the same process.
@dataclass(eq=False)
class Holding:
    """A process in the filter, or one that exited less than KEEP_EXITED ago."""

    pid: int
    start: int
    comm: str
    #: The real one when it was attached, as it is shown.
    uid: int
    #: Seconds since the epoch.
    since: float
    #: Real, effective, saved and file-system uid when it was attached. None: they are others
    #: since, or not known; its counters are the operators' alone then.
    uids: tuple[int, int, int, int] | None = None
    added_by: int | None = None
    #: Who that was, unless that was before the broker was restarted.
    adder: Caller | None = None
    #: Who watches, and whether they want the events, not the totals alone.
    leases: dict[Viewer, bool] = field(default_factory=dict)
    #: Those of them that want its children, too; and whether who added it does.
    followers: dict[Viewer, None] = field(default_factory=dict)
    add_follows: bool = False
    #: Those that want operations that failed, too.
    failures: dict[Viewer, None] = field(default_factory=dict)
    #: Ids of its cgroups that selectors named when it was chosen.
    cgroups: frozenset[int] = frozenset()
    #: The process whose child it is, where it was chosen as such.
    parent: int = 0
    #: It was chosen, and it is not known yet for whom: the kernel side goes by its selectors.
    undecided: bool = False
    exited: float | None = None
    #: Events taken from the ring for this process: the index that its next one will have.
    published: int = 0
    #: CLOCK_MONOTONIC, ns, when its counters began: tells them from others, whoever reads them.
    attached: int = 0
    #: Events that found no room in the ring, as of the last look.
    lost: int = 0
    #: time.monotonic() of the last frame.
    last_frame: float = 0.0
    #: Whether it was seen alive some time after it was attached.
    settled: bool = False
    #: time.monotonic() when it is let go unless someone takes it up; after a restart.
    orphan_until: float | None = None
    #: time.monotonic() until which its events are emitted although nobody may want them: after
    #: a restart, so that its viewers can tell how many they have missed.
    emit_until: float | None = None
    #: Whether its children are chosen as long as that, and whether failures are emitted.
    followed_before: bool = False
    failing_before: bool = False
    topic: bytes = b""

    def __post_init__(self) -> None:
        self.topic = frames.topic(self.pid)

    @classmethod
    def of(cls, process: Process, since: float) -> Holding:
        """One for a process that lives; `since` is in seconds since the epoch."""
        return cls(process.pid, process.start, process.comm, process.uids[0], since, process.uids)

    def process(self) -> Process:
        """As it was when it was attached; where its uids are not known, it is root's alone."""
        return Process(self.pid, self.start, self.comm, self.uids or (0, 0, 0, 0))

    @property
    def followed(self) -> bool:
        """Whether someone wants its children."""
        before = self.emit_until is not None and self.followed_before
        return bool(self.followers) or self.add_follows or before

    @property
    def failing(self) -> bool:
        """Whether someone wants operations that failed."""
        return bool(self.failures) or (self.emit_until is not None and self.failing_before)

    @property
    def wishes(self) -> tuple[bool, bool, bool]:
        """What the kernel side is to do for it beside counting."""
        return self.streamed, self.followed, self.failing

    @property
    def streamed(self) -> bool:
        """Whether someone wants the events."""
        # Asked for each frame, as is what follows: a generator would cost more than all else here.
        return True in self.leases.values()

    @property
    def guarded(self) -> bool:
        """Whether someone holds it who may do so only as long as its uids stay."""
        if self.adder is not None and not self.adder.operator:
            return True
        for viewer in self.leases:  # noqa: SIM110
            if not viewer.caller.operator:
                return True
        return False
