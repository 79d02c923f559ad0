"""What is held: which processes are in the filter, by whom, and their totals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from netioctl.wire.errors import FilterFull, LimitReached, NoSuchProcess, NotHeld
from netiod import guard, policy, processes
from netiod.audit import Audit
from netiod.connections import Connections
from netiod.exited import SETTLE, Exited
from netiod.holding import Holding, Viewer
from netiod.kernel import Kernel
from netiod.ledger import Ledger
from netiod.limits import Held
from netiod.policy import Caller
from netiod.processes import Process
from netiod.recovery import Recovery, exited_processes
from netiod.wishes import Wishes

#: The share of what may be held below which selectors that rest go on.
_ROOM = 0.9

COUNTERS = ("sent_bytes", "recv_bytes", "send_ops", "recv_ops")


class Holdings:
    """All holdings: who begins to hold a process, who ends, and what stays of those that exit."""

    def __init__(
        self,
        kernel: Kernel,
        connections: Connections,
        max_pids: int,
        ledger: Ledger,
        audit: Audit,
        revoked: Callable[[Viewer, Holding], None],
    ) -> None:
        """`revoked` is told of each viewer whose lease ends because the process is another's."""
        self._kernel, self._ledger = kernel, ledger
        self._connections = connections
        self._max_pids = max_pids
        self._audit, self._revoked = audit, revoked
        self._held = Held(max_pids)
        self.guard = guard.Guard(self._revoke)
        self._wishes = Wishes(kernel)
        self.living: dict[int, Holding] = {}
        self._exited = Exited(self._held.most, max_pids // 2)

    def recover(self) -> None:
        """Take up what an earlier broker left in the kernel's maps."""
        self._kernel.recover()
        left = Recovery(self._kernel, self._ledger, self._wishes)
        for holding, changed in left.living():
            if holding.adder is not None:
                self._count(holding.adder, 1)
            self._connections.recovered(holding.pid, holding.start)
            self.living[holding.pid] = holding
            self._wishes.apply(holding)
            if changed:
                holding.uids = None
                self._revoke(holding)
        for holding, unheard in left.gone():
            self._connections.recovered(holding.pid, holding.start)
            if unheard and holding.pid not in self.living:
                # The word of its exit is still to come.
                holding.exited = None
                self.living[holding.pid] = holding
            elif not holding.comm:
                self._exited.await_name(holding)
            else:
                self._forget(*self._exited.add(holding))

    def find(self, caller: Caller, pid: int, *, exited: bool = False) -> Holding:
        """The holding of `pid` that `caller` may see; also an exited one if `exited`.

        Raises:
            NoSuchProcess: the caller may see no such process; it may exist for others.
            NotHeld: the caller could hold it, but nobody does.
        """
        # Looked at in any case: the time must not tell whether others hold it.
        process = processes.read(pid)
        holding = self.living.get(pid) or (self._exited.get(pid) if exited else None)
        if holding is not None:
            if self.visible(caller, holding):
                return holding
        elif process is not None and policy.may_hold(caller, process):
            raise NotHeld(f"process {pid} ({process.comm}) is not attached")
        raise self._refusal(caller, pid, "find")

    def visible(self, caller: Caller, holding: Holding) -> bool:
        """Whether `caller` may see this holding, its counters included."""
        if not guard.allowed(holding, caller):
            return False
        # Looked at anew, for what it counts from now on may not be theirs to see.
        return caller.operator or holding.exited is not None or self.guard.verify(holding)

    def owner(self, pid: int, start: int) -> int:
        """Whose a process is: the real uid when it was attached; root's where that is not known."""
        for found in (self.living.get(pid), self._exited.get(pid)):
            if found is not None and found.start == start:
                return found.uid
        return 0

    def all(self, caller: Caller) -> list[Holding]:
        """Every holding that `caller` may see as far as is known, living ones first, by PID."""
        return [
            holding
            for group in ([h for _, h in sorted(self.living.items())], self._exited.values())
            for holding in group
            if guard.allowed(holding, caller)
        ]

    def attach(self, caller: Caller, pid: int, how: str) -> tuple[Holding, bool]:
        """Put `pid` into the filter if it is not there; (holding, whether it is fresh).

        To be followed by add() or lease(), which is `how`.

        Raises:
            NoSuchProcess: there is none, or none that `caller` may hold.
            LimitReached: `caller` holds as many as one user may.
            FilterFull: there is no room.
        """
        process = processes.read(pid)
        if process is None or not policy.may_hold(caller, process):
            raise self._refusal(caller, pid, how)
        held = self.living.get(pid)
        if held is not None and held.start == process.start:
            if not self.visible(caller, held):
                # Its counters hold what it did as another user; an operator keeps it.
                raise self._refusal(caller, pid, how)
            self.check(caller)
            held.orphan_until = None
            return held, False
        self.check(caller)
        if held is not None:
            self.process_exited(pid, held.start)
        if self._full:
            self._audit.limit(caller, "max-pids", self._max_pids)
            raise FilterFull(
                f"the filter is full: it holds {self._max_pids:,} processes (netiod --max-pids)"
            )
        # Where it has just been chosen, it is counted already; the word of that is to come.
        self._kernel.attach(pid, process.start)
        # It may have exited since it was read, and another process may have its number; or it
        # may have become another user's.
        again, counters = processes.read(pid), self._kernel.process(pid)
        same = again is not None and (again.start, again.uids) == (process.start, process.uids)
        if not same or counters is None:
            self._kernel.detach(pid)
            raise self._refusal(caller, pid, how)
        holding = self._begin(process, counters["since"])
        self._wishes.apply(holding)
        return holding, True

    def chosen(self, process: Process, since: int) -> tuple[Holding | None, bool]:
        """The holding of a process that the kernel side has begun to count at `since`, or that it
        counted before; and whether the holding is fresh.

        To be followed by lease() or add(), and by decided(). None: it is not counted any more, or,
        if that is said to be fresh, there is no room.
        """
        held = self.living.get(process.pid)
        if held is not None and held.start == process.start:
            return held, False
        if held is not None:
            self.process_exited(held.pid, held.start)
        if self._full:
            self._kernel.detach(process.pid)
            return None, True
        found = self._kernel.process(process.pid)
        if found is None or found["start"] != process.start:
            found = self._kernel.exited_process(process.pid, process.start)
        if found is None or found["start"] != process.start:
            return None, False
        self._exited.named(process.pid, process.start)
        holding = self._begin(process, since)
        holding.undecided = True
        return holding, True

    def decided(self, holding: Holding) -> None:
        """All who want a process that was chosen have it: from here on the filter has it, or
        nobody does."""
        holding.undecided = False
        self.let_go(holding)
        if self.living.get(holding.pid) is holding:
            self._wishes.apply(holding)

    def orphans(self) -> list[Holding]:
        """What was chosen for viewers of an earlier broker, who are about to come back; also what
        has exited meanwhile."""
        now = time.monotonic()
        every = [*self.living.values(), *self._exited.values()]
        return [h for h in every if h.orphan_until is not None and h.orphan_until > now]

    def unknown(self) -> list[tuple[Process, int]]:
        """Processes that the kernel side counts and nobody holds, and since when."""
        found = []
        for pid, counters in self._kernel.processes():
            if pid in self.living:
                continue
            process = processes.read(pid)
            if process is not None and process.start == counters["start"]:
                found.append((process, counters["since"]))
        return found

    def take_up_exited(self) -> None:
        """Keep, and in time forget, what has exited and of which no word has come; the word of its
        being chosen may still be to come."""
        known = {(h.pid, h.start) for h in (*self.living.values(), *self._exited.values())}
        for holding in exited_processes(self._kernel):
            if (holding.pid, holding.start) not in known:
                self._exited.await_name(holding)

    def has_room(self, uid: int | None) -> bool:
        """Whether a user holds much less than it may; None: all together."""
        if uid is None:
            return len(self.living) < self._max_pids * _ROOM
        return self._held.share(uid) < _ROOM

    @property
    def following(self) -> bool:
        """Whether children of some process are wanted."""
        return self._wishes.following

    def add(self, caller: Caller, holding: Holding, *, follow: bool = False) -> bool:
        """Hold a process, with `follow` its children too, until remove(); False if it was added
        before."""
        fresh = holding.added_by is None
        if fresh:
            holding.added_by, holding.adder = caller.uid, caller
            self._count(caller, 1)
            self._audit.attach(caller, holding.pid, holding.comm, "add")
        if fresh or (follow and not holding.add_follows):
            holding.add_follows |= follow
            key = self._kernel.key(holding.pid, holding.start)
            value = self._kernel.hold.pack(uid=caller.uid, follow=int(holding.add_follows))
            self._kernel.holds.put(key, value)
            if follow:
                self._wishes.apply(holding)
        return fresh

    def remove(self, caller: Caller, holding: Holding) -> None:
        """Undo add().

        Raises:
            NotHeld: it was not added.
        """
        if holding.added_by is None:
            raise NotHeld(f"process {holding.pid} ({holding.comm}) was not added")
        self._undo_add(holding)
        self._audit.detach(caller, holding.pid, holding.comm, "removed")
        self.let_go(holding)

    def lease(
        self,
        viewer: Viewer,
        holding: Holding,
        *,
        stream: bool,
        follow: bool = False,
        failed: bool = False,
        how: str = "watch",
    ) -> None:
        """`viewer` watches; with `stream` the kernel emits this process's events from now on, with
        `failed` the operations that fail among them, and with `follow` it chooses its children."""
        before = holding.wishes
        if viewer not in holding.leases:
            self._count(viewer.caller, 1)
            self._audit.attach(viewer.caller, holding.pid, holding.comm, how)
        holding.leases[viewer] = holding.leases.get(viewer, False) or stream
        if follow:
            holding.followers[viewer] = None
        if failed:
            holding.failures[viewer] = None
        if holding.wishes != before:
            self._wishes.apply(holding)

    def release(self, viewer: Viewer, holding: Holding, why: str = "left") -> None:
        """`viewer` watches no longer."""
        before = holding.wishes
        if holding.leases.pop(viewer, None) is None:
            return
        holding.followers.pop(viewer, None)
        holding.failures.pop(viewer, None)
        self._count(viewer.caller, -1)
        self._audit.detach(viewer.caller, holding.pid, holding.comm, why)
        if holding.exited is None:
            if holding.wishes != before:
                self._wishes.apply(holding)
            self.let_go(holding)

    def process_exited(self, pid: int, start: int) -> Holding | None:
        """The process is gone; its totals stay for KEEP_EXITED. Returns its holding.

        Its viewers still have to be told, and released.
        """
        holding = self.living.get(pid)
        if holding is None or holding.start != start:
            return None
        # As a zombie it may still show that it has been another's in the end.
        self.guard.verify(holding)
        if self.living.pop(pid, None) is None:
            return None
        self._wishes.drop(holding)
        holding.exited = time.time()
        self._ledger.end(pid, start, holding.published)
        if holding.adder is not None:
            self._count(holding.adder, -1)
            self._audit.detach(holding.adder, pid, holding.comm, "exited")
            holding.adder = None
        self._forget(*self._exited.add(holding))
        return holding

    def missed_exits(self) -> Iterator[tuple[int, int]]:
        """Processes that are gone unheard.

        The meta ring may have been full; or the process was on its way out, past the hook that
        tells of exits, when it was attached: hence another look a while later.
        """
        for pid, holding in list(self.living.items()):
            if not self._kernel.counts(pid):
                yield pid, holding.start
            elif not holding.settled and time.time() - holding.since > SETTLE:
                process = processes.read(pid)
                holding.settled = process is not None and process.start == holding.start
                if not holding.settled:
                    self._kernel.close(pid)
                    yield pid, holding.start

    def tick(self) -> None:
        """Once a second: look whose the processes are now; forget what exited long ago, and
        orphans that nobody has taken up."""
        self._kernel.settle()
        self._forget(*self._exited.settle())
        for holding in list(self.living.values()):
            if holding.guarded:
                self.guard.verify(holding)
        self._forget(*self._exited.expire())
        for holding in list(self.living.values()):
            if holding.emit_until is not None and time.monotonic() > holding.emit_until:
                holding.emit_until = None
                self._wishes.apply(holding)
            if holding.orphan_until is not None and time.monotonic() > holding.orphan_until:
                holding.orphan_until = None
                self.let_go(holding)

    def totals(self, holding: Holding) -> dict[str, int]:
        """The kernel's counters of a holding, in bytes and operations; its `lost` is then new."""
        proc = self._counters(holding) or {}
        holding.lost = proc.get("lost", holding.lost)
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

    def let_go(self, holding: Holding) -> None:
        """Stop counting a process that nobody wants any more."""
        if holding.exited is not None:
            return
        if holding.leases or holding.added_by is not None or holding.orphan_until is not None:
            return
        self._wishes.drop(holding)
        self._kernel.detach(holding.pid)
        del self.living[holding.pid]
        self._forget(holding)

    def _revoke(self, holding: Holding) -> None:
        """Its uids are others now: who held it as its owner does so no longer."""
        self._ledger.disown(holding.pid, holding.start)
        for viewer in [v for v in holding.leases if not v.caller.operator]:
            # Told first, while it counts as one who watches.
            self._revoked(viewer, holding)
            self.release(viewer, holding, "revoked")
        adder = holding.adder
        if adder is not None and not adder.operator:
            self._undo_add(holding)
            self._audit.detach(adder, holding.pid, holding.comm, "revoked")
            if holding.pid in self.living:
                self.let_go(holding)

    def _undo_add(self, holding: Holding) -> None:
        if holding.adder is not None:
            self._count(holding.adder, -1)
        holding.added_by = holding.adder = None
        holding.add_follows = False
        self._kernel.holds.delete(self._kernel.key(holding.pid, holding.start))

    @property
    def _full(self) -> bool:
        return len(self.living) >= self._max_pids

    def _begin(self, process: Process, since: int) -> Holding:
        """A process is counted, since then (CLOCK_MONOTONIC, ns)."""
        holding = Holding.of(process, time.time() - (time.monotonic_ns() - since) / 1e9)
        holding.attached = since
        self._ledger.begin(process.pid, process.start, process.uids, process.comm)
        self.living[process.pid] = holding
        return holding

    def check(self, caller: Caller) -> None:
        """Whether `caller` may hold one more.

        Raises:
            LimitReached: no.
        """
        try:
            self._held.check(caller)
        except LimitReached:
            self._audit.limit(caller, "held", self._held.most)
            raise

    def _count(self, caller: Caller, more: int) -> None:
        if not caller.operator:
            self._held.add(caller.uid, more)

    def _refusal(self, caller: Caller, pid: int, verb: str) -> NoSuchProcess:
        self._audit.refused(caller, pid, verb)
        return NoSuchProcess(f"no process {pid} that you may watch")

    def _forget(self, *gone: Holding) -> None:
        for holding in gone:
            key = self._kernel.key(holding.pid, holding.start)
            if holding.exited is not None:
                self._kernel.exited.delete(key)
            self._connections.forget(holding.pid, holding.start)
            self._ledger.forget(holding.pid, holding.start)
            self._kernel.holds.delete(key)
