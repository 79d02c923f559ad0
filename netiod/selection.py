"""Processes that are chosen: by selectors, or as children of those that are followed.

The kernel side chooses, at a process's first operation or when it is made, counts it from then on
and tells of it; here is who asked for what, and who therefore gets to see it.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from netioctl.wire.errors import LimitReached, NotHeld
from netiod import policy
from netiod.audit import Audit
from netiod.cgroup_paths import CgroupPaths
from netiod.holding import Holding, Viewer
from netiod.holdings import COUNTERS, Holdings
from netiod.kernel import Kernel
from netiod.policy import Caller
from netiod.processes import Process
from netiod.recovery import KEEP_ORPHANS
from netiod.selector import ANYONE, SELECTORS, SELECTORS_A_UID, Facts, Selector, padded

_U32 = struct.Struct("<I")


class Origin(NamedTuple):
    """How a process came to be watched: `parent` is the one whose child it is, 0 where a selector
    chose it; `fresh`: its counters began at zero with that."""

    parent: int
    fresh: bool
    #: What had been counted of it by then, where that was something.
    before: dict[str, int] | None = None


@dataclass(eq=False)
class Interest:
    """Who asked for a selector: a viewer, or, without one, who added it."""

    caller: Caller
    viewer: Viewer | None
    stream: bool
    follow: bool
    failed: bool = False
    #: Processes that it added and that live.
    added: set[Holding] = field(default_factory=set)


class Selection:
    """All interests. Every change of the kernel's selectors happens here."""

    def __init__(
        self,
        kernel: Kernel,
        holdings: Holdings,
        audit: Audit,
        began: Callable[[Viewer, Holding, Origin], None],
    ) -> None:
        """`began` is told of each process that a viewer has a lease on from now on."""
        self._kernel, self._holdings, self._audit = kernel, holdings, audit
        self._began = began
        self._paths = CgroupPaths(kernel)
        self._interests: dict[Selector, list[Interest]] = {}
        #: What was asked of an earlier broker, with the flags in the kernel's map, and for how long
        #: that is kept: viewers are about to come back.
        self._orphans: dict[Selector, int] = {}
        self._orphans_until = 0.0
        self._passed_over: dict[str, int] = {}
        #: What the kernel's map has, as far as we wrote it.
        self._written: dict[bytes, bytes] = {}
        self._counts: Counter[int] = Counter()
        #: Uids that hold as many processes as they may: their selectors rest. None: everybody's.
        self._resting: set[int | None] = set()
        self._generation = int(time.time()) & 0x7FFFFFFF
        self._shown = 0
        constants = kernel.layout.constants
        self._count, self._stream, self._follow, self._errors = (
            constants[f"NETIO_FILTER_{flag}"] for flag in ("COUNT", "STREAM", "FOLLOW", "ERRORS")
        )

    def recover(self) -> None:
        """Take up the selectors that were added under an earlier broker, and those alone."""
        for key, _ in list(self._kernel.passed_over.items()):
            self._kernel.passed_over.delete(key)
        # What is asked again is not taken for what was asked before.
        self._generation = max(self._generation, self._kernel.configured("SELECT") + 1)
        for selector, had in self._paths.recover():
            self._orphans[selector] = had["flags"]
            if not had["added"]:
                continue
            caller = Caller(0, had["uid"], selector.owner == ANYONE)
            follow = bool(had["flags"] & self._follow)
            self._interests[selector] = [Interest(caller, None, False, follow)]
            self._counts[caller.uid] += 1
        self._orphans_until = time.monotonic() + KEEP_ORPHANS
        self.show()

    @property
    def active(self) -> bool:
        """Whether processes may be chosen that nobody has named."""
        return bool(self._interests or self._orphans)

    def of(self, viewer: Viewer) -> list[Interest]:
        """What a viewer asked for."""
        return [i for i in self._all() if i.viewer is viewer]

    def streams(self) -> Iterator[Viewer]:
        """Viewers that want the events of what will be chosen."""
        return (i.viewer for i in self._all() if i.viewer is not None and i.stream)

    def added(self, caller: Caller) -> list[tuple[Selector, Interest]]:
        """The selectors that were added, as far as `caller` may see them."""
        return [
            (selector, interest)
            for selector, interests in self._interests.items()
            for interest in interests
            if interest.viewer is None and (caller.operator or interest.caller.uid == caller.uid)
        ]

    def cgroup(self, selector: Selector) -> int | None:
        """The cgroup at a selector's path, as far as is known."""
        return self._paths.current(selector)

    def want(self, selectors: Mapping[Selector, int], interest: Interest) -> list[bool]:
        """Choose such processes from now on; for each whether that is new. Of one by path, the
        value is the id of the cgroup that is said to be there, or 0.

        Raises:
            LimitReached: that would be more selectors than one user, or all, may have.
        """
        wanted, uid = list(selectors), interest.caller.uid
        self._paths.check(wanted)
        if interest.viewer is not None:
            self.pass_over(f"viewer-{id(interest.viewer)}", interest.caller.pid)
        if uid and self._counts[uid] + len(wanted) > SELECTORS_A_UID:
            self._audit.limit(interest.caller, "selectors", SELECTORS_A_UID)
            raise LimitReached(f"one user may have {SELECTORS_A_UID} selectors at once")
        if sum(self._counts.values()) + len(wanted) > SELECTORS:
            self._audit.limit(interest.caller, "all-selectors", SELECTORS)
            raise LimitReached(f"netiod takes {SELECTORS:,} selectors at once")
        fresh = []
        for selector in wanted:
            known = self._interests.setdefault(selector, [])
            self._unwrite(self._paths.want(selector, selectors[selector]))
            same = [i for i in known if i.viewer is interest.viewer and _same_user(i, interest)]
            fresh.append(not same)
            if not same:
                known.append(interest)
                self._counts[uid] += 1
            else:
                same[0].follow |= interest.follow
                same[0].stream |= interest.stream
                same[0].failed |= interest.failed
        self._generation += 1
        self.show()
        for holding in self._holdings.orphans():
            comm = padded(holding.comm)
            facts = Facts(holding.process(), comm, holding.attached, 0, holding.cgroups)
            if any(self._wants(selector, facts) for selector in wanted):
                self._give(holding, interest, Origin(0, False))
        return fresh

    def resume(self, viewer: Viewer, pid: int, stream: bool, failed: bool) -> None:
        """A viewer follows a process: also the children of it that were chosen while there was no
        broker, and theirs."""
        todo, orphans = [pid], self._holdings.orphans()
        while todo:
            parent = todo.pop()
            for holding in orphans:
                if holding.parent == parent and viewer not in holding.leases:
                    interest = Interest(viewer.caller, viewer, stream, True, failed)
                    self._give(holding, interest, Origin(parent, False))
                    todo.append(holding.pid)

    def unwant(self, selector: Selector, caller: Caller) -> None:
        """Undo want() of what was added; processes that it added are let go.

        Raises:
            NotHeld: nobody added it who `caller` could speak for.
        """
        known = self._interests.get(selector, [])
        mine = [i for i in known if i.viewer is None and (caller.operator or _same_uid(i, caller))]
        if not mine:
            raise NotHeld("that selector was not added")
        for interest in mine:
            self._drop(selector, interest)
            for holding in interest.added:
                if holding.exited is None and holding.added_by is not None:
                    self._holdings.remove(caller, holding)
        self.show()

    def pass_over(self, role: str, pid: int) -> None:
        """No selector chooses `pid`, nor any longer the one that had that role before: it would
        make what it is told of."""
        before = self._passed_over.pop(role, 0)
        if before and before not in self._passed_over.values():
            self._kernel.passed_over.delete(_U32.pack(before))
        if pid:
            self._passed_over[role] = pid
            self._kernel.passed_over.put(_U32.pack(pid), _U32.pack(1))

    def gone(self, viewer: Viewer) -> None:
        """A viewer has left."""
        self.pass_over(f"viewer-{id(viewer)}", 0)
        for selector, interests in list(self._interests.items()):
            for interest in [i for i in interests if i.viewer is viewer]:
                self._drop(selector, interest)
        self.show()

    def chosen(self, record: dict[str, Any]) -> None:
        """Take in a struct meta_chosen: lease the process to all who asked for it."""
        facts = self._facts(record)
        process = facts.process
        holding, fresh = self._holdings.chosen(process, facts.since)
        if holding is None:
            # It is another's number by now, or there is no room: choosing more is of no use.
            if fresh:
                self._rest(None)
            return
        holding.cgroups |= facts.cgroups
        if facts.parent:
            holding.parent = facts.parent
            self._followed(holding, Origin(facts.parent, fresh, facts.before))
        self._select(holding, facts, fresh)

    def cgroup_made(self, record: dict[str, Any]) -> None:
        """Take in a struct meta_cgroup: there is another cgroup at a path that selectors go by."""
        self._unwrite(self._paths.made(record["path"], record["id"]))
        self.show()

    def missed(self) -> None:
        """Records may be lost: take up what the kernel side counts and we do not know."""
        for number, ident in self._paths.unheard():
            self._unwrite(self._paths.made(number, ident))
        self._holdings.take_up_exited()
        for process, since in self._holdings.unknown():
            facts = Facts(process, padded(process.comm), since, 0, frozenset())
            holding, fresh = self._holdings.chosen(process, since)
            if holding is not None:
                # Of cgroups and of parents nothing is known any more.
                self._select(holding, facts, fresh)

    def tick(self) -> None:
        """Once a second: selectors that rest go on where there is room again."""
        if self._orphans and time.monotonic() > self._orphans_until:
            for selector in list(self._orphans):
                if selector not in self._interests:
                    self._delete(selector)
            self._orphans.clear()
        self._paths.tick()
        for interest in self._all():
            interest.added = {holding for holding in interest.added if holding.exited is None}
        for uid in list(self._resting):
            if self._holdings.has_room(uid):
                self._resting.discard(uid)
                self._generation += 1
        self.show()

    def show(self) -> None:
        """Tell the kernel side what is wanted now."""
        kernel = self._kernel
        values: dict[bytes, dict[str, int]] = {}
        for selector, interests in self._interests.items():
            awake = [i for i in interests if not {None, i.caller.uid} & self._resting]
            flags = 0 if self._resting else self._orphans.get(selector, 0)
            for interest in awake:
                flags |= self._count | self._stream * interest.stream
                flags |= self._follow * interest.follow
                flags |= self._errors * interest.failed
            adders = [i.caller.uid for i in interests if i.viewer is None]
            fields = {
                "flags": flags,
                "added": int(bool(adders)),
                "uid": adders[0] if adders else 0,
                "level": selector.level,
                "path": self._paths.number(selector),
            }
            for key in self._paths.keys(selector):
                # One by path and one by id may mean the same cgroup.
                other = values.get(key, fields)
                kept = fields if fields["added"] else other
                values[key] = {**kept, "flags": flags | other["flags"]}
        for key, fields in values.items():
            value = kernel.selector.pack(**fields)
            if self._written.get(key) != value:
                self._written[key] = value
                kernel.selectors.put(key, value)
        self._paths.write()
        chooses = self._interests or self._orphans or self._holdings.following
        wanted = self._generation if chooses else 0
        if wanted != self._shown:
            self._shown = wanted
            kernel.configure("SELECT", wanted)

    def _all(self) -> Iterator[Interest]:
        for interests in self._interests.values():
            yield from interests

    def _drop(self, selector: Selector, interest: Interest) -> None:
        interests = self._interests[selector]
        interests.remove(interest)
        self._counts[interest.caller.uid] -= 1
        if not interests:
            del self._interests[selector]
            self._delete(selector)

    def _delete(self, selector: Selector) -> None:
        self._orphans.pop(selector, None)
        self._unwrite(self._paths.drop(selector))

    def _unwrite(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._written.pop(key, None)
            self._kernel.selectors.delete(key)

    def _wants(self, selector: Selector, facts: Facts) -> bool:
        return selector.wants(facts, self._paths.ids(selector) if selector.path else ())

    def _select(self, holding: Holding, facts: Facts, fresh: bool) -> None:
        if any(self._wants(selector, facts) for selector in self._orphans):
            holding.orphan_until = self._orphans_until
        for selector, interests in self._interests.items():
            if self._wants(selector, facts):
                for interest in interests:
                    self._give(holding, interest, Origin(0, fresh, facts.before))
        self._holdings.decided(holding)

    def _followed(self, holding: Holding, origin: Origin) -> None:
        """Who follows the parent watches the child, too, and follows it."""
        above = self._holdings.living.get(origin.parent)
        if above is None:
            return
        if above.emit_until is not None:
            holding.orphan_until = above.emit_until
        for viewer in list(above.followers):
            stream, failed = above.leases.get(viewer, False), viewer in above.failures
            self._give(holding, Interest(viewer.caller, viewer, stream, True, failed), origin)
        if above.adder is not None and above.add_follows:
            self._give(holding, Interest(above.adder, None, False, True), origin)

    def _give(self, holding: Holding, interest: Interest, origin: Origin) -> None:
        caller, viewer = interest.caller, interest.viewer
        if not policy.may_hold(caller, holding.process()) or not self._holdings.visible(
            caller, holding
        ):
            return
        if viewer in holding.leases or (viewer is None and holding.exited is not None):
            return
        try:
            self._holdings.check(caller)
        except LimitReached:
            self._rest(caller.uid)
            return
        if viewer is None:
            if self._holdings.add(caller, holding, follow=interest.follow):
                interest.added.add(holding)
            return
        if holding.exited is not None:
            # All there is to tell, at once.
            self._began(viewer, holding, origin)
            return
        self._holdings.lease(
            viewer,
            holding,
            stream=interest.stream,
            follow=interest.follow,
            failed=interest.failed,
            how="select",
        )
        self._began(viewer, holding, origin)

    def _rest(self, uid: int | None) -> None:
        if uid not in self._resting:
            self._resting.add(uid)
            self.show()

    def _facts(self, record: dict[str, Any]) -> Facts:
        comm = record["comm"]
        name = comm.split(b"\0", 1)[0].decode("utf-8", "replace")
        uids = (record["uid"], record["euid"], record["suid"], record["fsuid"])
        levels = self._kernel.layout.constants["NETIO_CGROUP_LEVELS"]
        return Facts(
            Process(record["tgid"], record["start"], name, uids),
            comm,
            record["since"],
            record["parent"],
            frozenset(filter(None, (record[f"cgroup{n}"] for n in range(1, levels + 1)))),
            {name: record[name] for name in COUNTERS},
        )


def _same_user(one: Interest, other: Interest) -> bool:
    return one.viewer is not None or _same_uid(one, other.caller)


def _same_uid(interest: Interest, caller: Caller) -> bool:
    return interest.caller.uid == caller.uid
