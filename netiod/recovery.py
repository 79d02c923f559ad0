"""What an earlier broker left in the kernel's maps and in the ledger: who was held, and by whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from netiod import policy, processes
from netiod.holding import Holding
from netiod.kernel import Kernel
from netiod.ledger import Entry, Ledger
from netiod.policy import Caller
from netiod.wishes import Wishes

#: Seconds that a process which nobody holds any more stays after the broker was restarted.
KEEP_ORPHANS = 10.0


class Living(NamedTuple):
    """A process that is in the filter; `changed`: it is another user's than it was."""

    holding: Holding
    changed: bool


class Gone(NamedTuple):
    """A process that has exited; `unheard`: its last events are still in the rings."""

    holding: Holding
    unheard: bool


class Recovery:
    """Reads once what there is; each process that was written down and is not there any more is
    forgotten."""

    def __init__(self, kernel: Kernel, ledger: Ledger, wishes: Wishes) -> None:
        self._kernel, self._ledger, self._wishes = kernel, ledger, wishes
        self._wall = time.time() - time.monotonic()
        self._written: dict[tuple[int, int], Entry] = {
            (entry.pid, entry.start): entry for entry in ledger.recover(kernel.events.position)
        }

    def living(self) -> Iterator[Living]:
        """To be called first. What is not to be held any more is detached."""
        now = time.monotonic()
        found = list(self._kernel.processes())
        flags = self._kernel.keep_filter(pid for pid, _ in found)
        for pid, counters in found:
            process = processes.read(pid)
            if process is None or process.start != counters["start"]:
                self._kernel.detach(pid)
                continue
            holding = Holding.of(process, self._wall + counters["since"] / 1e9)
            holding.attached, holding.lost = counters["since"], counters["lost"]
            entry = self._written.pop((pid, process.start), None)
            if entry is None:
                self._ledger.begin(pid, process.start, process.uids, process.comm)
            else:
                holding.published = entry.published
            if flags[pid] & (self._wishes.stream | self._wishes.follow):
                holding.emit_until = now + KEEP_ORPHANS
                holding.followed_before = bool(flags[pid] & self._wishes.follow)
                holding.failing_before = bool(flags[pid] & self._wishes.errors)
            hold = self._kernel.holds.get(self._kernel.key(pid, process.start))
            if hold is not None:
                uid = holding.added_by = self._kernel.hold.unpack(hold)["uid"]
                # Whoever may not hold it as an owner must have been an operator.
                holding.add_follows = bool(self._kernel.hold.unpack(hold)["follow"])
                theirs = policy.owned(Caller(0, uid, False), process.uids)
                holding.adder = Caller(0, uid, not theirs)
            else:
                holding.orphan_until = now + KEEP_ORPHANS
            yield Living(holding, entry is not None and entry.uids != process.uids)

    def gone(self) -> Iterator[Gone]:
        """To be called when living() has ended."""
        for holding in exited_processes(self._kernel):
            entry = self._written.pop((holding.pid, holding.start), None)
            # Where it is not known whose it was, operators alone still see it.
            if entry is not None:
                holding.comm, holding.published = entry.comm, entry.published
                holding.uids = entry.uids
                holding.uid = entry.uids[0] if entry.uids else 0
            yield Gone(holding, entry is not None and not entry.ended)
        for pid, start in self._written:
            self._ledger.forget(pid, start)


def exited_processes(kernel: Kernel) -> Iterator[Holding]:
    """All that the kernel side knows to have exited, without names and users."""
    wall = time.time() - time.monotonic()
    for key, value in list(kernel.exited.items()):
        fields, proc = kernel.proc_key.unpack(key), kernel.proc.unpack(value)
        holding = Holding(fields["tgid"], fields["start"], "", 0, wall + proc["since"] / 1e9)
        holding.attached, holding.lost = proc["since"], proc["lost"]
        holding.exited = wall + proc["until"] / 1e9
        yield holding
