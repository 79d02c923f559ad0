"""What is held: which processes are in the filter, by whom, and their totals."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from netioctl.wire import frames
from netioctl.wire.errors import FilterFull, NoSuchProcess, NotHeld
from netiod import policy, processes
from netiod.connections import Connections
from netiod.kernel import Kernel
from netiod.maps import MapFull
from netiod.policy import Caller

#: Seconds that the totals of a process stay after its exit.
KEEP_EXITED = 600.0
#: Seconds that a process which nobody holds any more stays after the broker was restarted.
KEEP_ORPHANS = 10.0
#: Seconds after which a process is looked at once more: an exit takes less.
SETTLE = 1.0
_AUDIT = logging.getLogger("netiod.audit")

COUNTERS = ("sent_bytes", "recv_bytes", "send_ops", "recv_ops")


class Viewer(Protocol):
    """Who holds a lease: a control connection."""

    caller: Caller


@dataclass
class Holding:
    """A process in the filter, or one that exited less than KEEP_EXITED ago."""

    pid: int
    start: int
    comm: str
    uid: int
    #: Seconds since the epoch.
    since: float
    added_by: int | None = None
    #: Who watches, and whether they want the events, not the totals alone.
    leases: dict[Viewer, bool] = field(default_factory=dict)
    exited: float | None = None
    #: Events taken from the ring for this process: the index that its next one will have.
    published: int = 0
    #: Events that found no room in the ring, as of the last look.
    lost: int = 0
    #: time.monotonic() of the last frame.
    last_frame: float = 0.0
    #: Whether it was seen alive some time after it was attached.
    settled: bool = False
    #: time.monotonic() when it is let go unless someone takes it up; after a restart.
    orphan_until: float | None = None
    topic: bytes = b""

    def __post_init__(self) -> None:
        self.topic = frames.topic(self.pid)

    @property
    def streamed(self) -> bool:
        """Whether someone wants the events."""
        return any(self.leases.values())


class Holdings:
    """All holdings. Every change of the kernel's filter happens here."""

    def __init__(self, kernel: Kernel, connections: Connections, max_pids: int) -> None:
        self._kernel = kernel
        self._connections = connections
        self._max_pids = max_pids
        constants = kernel.layout.constants
        self._count, self._stream = (
            constants["NETIO_FILTER_COUNT"],
            constants["NETIO_FILTER_STREAM"],
        )
        self.living: dict[int, Holding] = {}
        self._exited: dict[int, Holding] = {}

    def recover(self) -> None:
        """Take up what an earlier broker left in the kernel's maps."""
        wall = time.time() - time.monotonic()
        for pid, counters in list(self._kernel.processes()):
            process = processes.read(pid)
            if process is None or process.start != counters["start"]:
                self._kernel.detach(pid)
                continue
            holding = Holding(
                pid, process.start, process.comm, process.uids[0], wall + counters["since"] / 1e9
            )
            hold = self._kernel.holds.get(self._kernel.key(pid, process.start))
            if hold is not None:
                holding.added_by = self._kernel.hold.unpack(hold)["uid"]
            else:
                holding.orphan_until = time.monotonic() + KEEP_ORPHANS
            self.living[pid] = holding
            self._filter(holding)
        for key, value in list(self._kernel.exited.items()):
            fields, proc = self._kernel.proc_key.unpack(key), self._kernel.proc.unpack(value)
            gone = Holding(fields["tgid"], fields["start"], "", 0, wall + proc["since"] / 1e9)
            gone.exited = wall + proc["until"] / 1e9
            # Whose it was is not known any more: operators alone still see it.
            self._exited[gone.pid] = gone

    def find(self, caller: Caller, pid: int, *, exited: bool = False) -> Holding:
        """The holding of `pid` that `caller` may see; also an exited one if `exited`.

        Raises:
            NoSuchProcess: the caller may see no such process; it may exist for others.
            NotHeld: the caller could hold it, but nobody does.
        """
        holding = self.living.get(pid) or (self._exited.get(pid) if exited else None)
        if holding is not None:
            if self.visible(caller, holding):
                return holding
            raise NoSuchProcess(f"no process {pid} that you may watch")
        process = processes.read(pid)
        if process is None or not policy.may_hold(caller, process):
            raise NoSuchProcess(f"no process {pid} that you may watch")
        raise NotHeld(f"process {pid} ({process.comm}) is not attached")

    def visible(self, caller: Caller, holding: Holding) -> bool:
        """Whether `caller` may see this holding."""
        if caller.operator:
            return True
        if holding.exited is not None:
            return holding.uid == caller.uid
        process = processes.read(holding.pid)
        return (
            process is not None
            and process.start == holding.start
            and policy.may_hold(caller, process)
        )

    def all(self, caller: Caller) -> Iterator[Holding]:
        """Every holding that `caller` may see, living ones first, by PID."""
        for group in (self.living, self._exited):
            for _, holding in sorted(group.items()):
                if self.visible(caller, holding):
                    yield holding

    def attach(self, caller: Caller, pid: int) -> tuple[Holding, bool]:
        """Put `pid` into the filter if it is not there; (holding, whether it is fresh).

        Raises:
            NoSuchProcess: there is none, or none that `caller` may hold.
            FilterFull: there is no room.
        """
        process = processes.read(pid)
        if process is None or not policy.may_hold(caller, process):
            _AUDIT.info("refused pid=%d uid=%d client=%d", pid, caller.uid, caller.pid)
            raise NoSuchProcess(f"no process {pid} that you may watch")
        held = self.living.get(pid)
        if held is not None and held.start == process.start:
            held.orphan_until = None
            return held, False
        if held is not None:
            self.process_exited(pid, held.start)
        try:
            self._kernel.attach(pid, process.start)
        except MapFull:
            raise FilterFull(
                f"the filter is full: it holds {self._max_pids:,} processes (netiod --max-pids)"
            ) from None
        holding = Holding(pid, process.start, process.comm, process.uids[0], time.time())
        # It may have exited since it was read, and another process may have its number.
        again = processes.read(pid)
        if again is None or again.start != process.start or self._kernel.process(pid) is None:
            self._kernel.detach(pid)
            raise NoSuchProcess(f"no process {pid} that you may watch")
        self.living[pid] = holding
        self._filter(holding)
        _AUDIT.info(
            "attach pid=%d comm=%r uid=%d client=%d", pid, process.comm, caller.uid, caller.pid
        )
        return holding, True

    def add(self, caller: Caller, holding: Holding) -> bool:
        """Hold a process until remove(); False if it was added before."""
        if holding.added_by is not None:
            return False
        holding.added_by = caller.uid
        key = self._kernel.key(holding.pid, holding.start)
        self._kernel.holds.put(key, self._kernel.hold.pack(uid=caller.uid))
        return True

    def remove(self, caller: Caller, holding: Holding) -> None:
        """Undo add().

        Raises:
            NotHeld: it was not added.
        """
        if holding.added_by is None:
            raise NotHeld(f"process {holding.pid} ({holding.comm}) was not added")
        holding.added_by = None
        self._kernel.holds.delete(self._kernel.key(holding.pid, holding.start))
        _AUDIT.info("remove pid=%d uid=%d client=%d", holding.pid, caller.uid, caller.pid)
        self._let_go(holding)

    def lease(self, viewer: Viewer, holding: Holding, *, stream: bool) -> None:
        """`viewer` watches; with `stream` the kernel emits this process's events from now on."""
        before = holding.streamed
        holding.leases[viewer] = holding.leases.get(viewer, False) or stream
        if holding.streamed != before:
            self._filter(holding)

    def release(self, viewer: Viewer, holding: Holding) -> None:
        """`viewer` watches no longer."""
        before = holding.streamed
        if holding.leases.pop(viewer, None) is None or holding.exited is not None:
            return
        if holding.streamed != before:
            self._filter(holding)
        self._let_go(holding)

    def process_exited(self, pid: int, start: int) -> Holding | None:
        """The process is gone; its totals stay for KEEP_EXITED. Returns its holding."""
        holding = self.living.get(pid)
        if holding is None or holding.start != start:
            return None
        del self.living[pid]
        self._kernel.set_filter(pid, 0)
        holding.exited = time.time()
        self._exited.pop(pid, None)
        self._exited[pid] = holding
        return holding

    def missed_exits(self) -> Iterator[tuple[int, int]]:
        """Processes that are gone unheard.

        The meta ring may have been full; or the process was on its way out, past the hook that
        tells of exits, when it was attached: hence another look a while later.
        """
        for pid, holding in list(self.living.items()):
            counters = self._kernel.process(pid)
            if counters is None:
                yield pid, holding.start
            elif not holding.settled and time.time() - holding.since > SETTLE:
                process = processes.read(pid)
                holding.settled = process is not None and process.start == holding.start
                if not holding.settled:
                    self._kernel.close(pid, counters)
                    yield pid, holding.start

    def expire(self) -> None:
        """Forget what exited long ago, and orphans that nobody has taken up."""
        for holding in list(self._exited.values()):
            if holding.exited is not None and time.time() - holding.exited > KEEP_EXITED:
                del self._exited[holding.pid]
                self._kernel.exited.delete(self._kernel.key(holding.pid, holding.start))
                self._forget(holding)
        for holding in list(self.living.values()):
            if holding.orphan_until is not None and time.monotonic() > holding.orphan_until:
                holding.orphan_until = None
                self._let_go(holding)

    def totals(self, holding: Holding) -> dict[str, int]:
        """The kernel's counters of a holding, in bytes and operations."""
        proc = self._counters(holding) or {}
        return {name: proc.get(name, 0) for name in COUNTERS}

    def refresh_lost(self, holding: Holding) -> None:
        """Read how many events of a living holding found no room."""
        proc = self._counters(holding)
        if proc is not None:
            holding.lost = proc["lost"]

    def _counters(self, holding: Holding) -> dict[str, Any] | None:
        if holding.exited is None:
            found = self._kernel.process(holding.pid)
            if found is not None:
                return found
        return self._kernel.exited_process(holding.pid, holding.start)

    def _filter(self, holding: Holding) -> None:
        flags = self._count | (self._stream if holding.streamed else 0)
        self._kernel.set_filter(holding.pid, flags)

    def _let_go(self, holding: Holding) -> None:
        if holding.leases or holding.added_by is not None or holding.orphan_until is not None:
            return
        self._kernel.set_filter(holding.pid, 0)
        self._kernel.detach(holding.pid)
        del self.living[holding.pid]
        self._forget(holding)
        _AUDIT.info("detach pid=%d comm=%r", holding.pid, holding.comm)

    def _forget(self, holding: Holding) -> None:
        self._connections.forget(holding.pid, holding.start)
        self._kernel.holds.delete(self._kernel.key(holding.pid, holding.start))
