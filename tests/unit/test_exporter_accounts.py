"""Sums of the exporter: exact whatever comes and goes, never falling, never too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from netioctl.answers import Held, Process, Totals
from netioctl.exporter.accounts import OTHER, REMEMBERED, SETTLE, ZERO, Accounts, Counters, plus
from netioctl.exporter.origins import Choice
from netioctl.procfs import NOWHERE, Place, unit

MOST = 3


class World:
    """Processes as `list` shows them, and the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.processes: dict[int, dict[str, Any]] = {}
        self.moved = ZERO
        self.accounts = Accounts(MOST, lambda uid: f"user{uid}", self.place, lambda: self.now)
        self.fresh = 0

    def place(self, row: Held) -> Place:
        cgroup = f"/system.slice/{row.process.pid % 5}.service"
        return NOWHERE if row.exited else Place(cgroup, unit(cgroup))

    def rows(self) -> list[Held]:
        return [
            Held(
                Process(pid, 7, p["comm"], pid % 4, 0.0, "", None, False, p["attached"], None, 0),
                0,
                0,
                p["exited"],
                Totals(p["bytes"], p["bytes"] * 2, 1, 1),
            )
            for pid, p in self.processes.items()
        ]

    def choice(self) -> Choice:
        """One selector wants all, one every second process; both were there before them."""

        def of(row: Held) -> dict[str, float]:
            return {"all": 0.0, "name=even": 0.0} if row.process.pid % 2 == 0 else {"all": 0.0}

        return Choice(("all", "name=even"), of)

    def do(self, what: str, pid: int, amount: int) -> None:
        self.fresh += 1
        process = self.processes.get(pid)
        if what == "begin" and process is None:
            new = {"comm": f"name{pid % 6}", "bytes": 0, "attached": self.fresh, "exited": None}
            self.processes[pid] = new
        elif process is None:
            return
        elif what == "move" and not process["exited"]:
            process["bytes"] += amount
        elif what == "exit":
            process["exited"] = 1.0
        elif what == "rename":
            process["comm"] = f"new{self.fresh}"
        elif what == "detach":
            del self.processes[pid]
        elif what == "anew":
            # The daemon was started anew: its counters began at zero.
            process["bytes"], process["attached"] = amount, self.fresh


def increases(before: Mapping[Any, Counters], after: Mapping[Any, Counters]) -> Counters:
    """As Prometheus sees them: what fell has begun at zero."""
    total = ZERO
    for key, new in after.items():
        old = before.get(key, ZERO)
        fell = any(n < o for n, o in zip(new, old))
        total = plus(total, new if fell else Counters(*(n - o for n, o in zip(new, old))))
    return total


steps = st.tuples(
    st.sampled_from(["begin", "move", "move", "exit", "rename", "detach", "anew", "look", "look"]),
    st.integers(1, 8),
    st.integers(1, 1000),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=60))
def test_every_byte_is_in_each_family_once(actions: list[tuple[str, int, int]]) -> None:
    world = World()
    accounts = world.accounts
    groups = (accounts.cgroups, accounts.programs, accounts.users)
    choice, chosen = world.choice(), accounts.selectors.sums
    seen: dict[Any, Counters] = {}
    for what, pid, amount in actions:
        if what != "look":
            world.do(what, pid, amount)
            continue
        before = [dict(group.sums) for group in groups]
        total, other = accounts.total, accounts.other
        wanted = dict(chosen)
        accounts.take(world.rows(), choice)
        more = increases({(): total}, {(): accounts.total})
        assert chosen["all",] == accounts.total
        assert all(n >= o for key in wanted for n, o in zip(chosen[key], wanted[key]))
        assert all(new >= old for new, old in zip(accounts.total, total))
        for group, old in zip(groups, before):
            assert increases(old, group.sums) == more
            for key in old.keys() & group.sums.keys():
                assert all(n >= o for n, o in zip(group.sums[key], old[key]))
            assert sum(key[0] != OTHER for key in group.sums) <= MOST
        by_process = increases(seen, accounts.processes)
        assert plus(by_process, increases({(): other}, {(): accounts.other})) == more
        seen.update(accounts.processes)
        assert len(accounts.processes) <= MOST


def test_what_was_counted_stays_when_a_process_goes() -> None:
    world = World()
    world.do("begin", 1, 0)
    world.do("move", 1, 100)
    world.accounts.take(world.rows())
    assert world.accounts.processes["1", "name1", "user1", "/system.slice/1.service", "1.service"]
    world.do("move", 1, 11)
    world.do("exit", 1, 0)
    world.accounts.take(world.rows())
    world.do("detach", 1, 0)
    world.accounts.take(world.rows())
    assert not world.accounts.processes
    for sums in (world.accounts.programs.sums["name1",], world.accounts.total):
        assert sums[:2] == (111, 222)


def test_a_process_that_was_out_of_sight_for_a_moment_is_not_counted_twice() -> None:
    world = World()
    world.do("begin", 1, 0)
    world.do("move", 1, 100)
    rows = world.rows()
    world.accounts.take(rows)
    world.accounts.take([])
    world.now += REMEMBERED
    world.accounts.take(rows)
    assert world.accounts.total.sent_bytes == 100


def test_a_process_is_in_the_sums_of_each_selector_that_wants_it() -> None:
    world = World()
    for pid in (1, 2):
        world.do("begin", pid, 0)
    world.accounts.take(world.rows(), world.choice())
    assert {s.sent_bytes for s in world.accounts.selectors.sums.values()} == {0}
    for pid in (1, 2):
        world.do("move", pid, pid * 100)
    world.accounts.take(world.rows(), world.choice())
    for pid in (1, 2):
        world.do("detach", pid, 0)
    world.accounts.take(world.rows(), world.choice())
    sums = world.accounts.selectors.sums
    assert (sums["all",].sent_bytes, sums["name=even",].sent_bytes) == (300, 200)


def test_what_moved_before_it_was_known_who_wants_it_counts_and_nothing_of_long_ago() -> None:
    world = World()
    world.do("begin", 1, 0)
    known: dict[str, float] = {}
    choice = Choice(("name=x",), lambda _row: known)
    for now, amount in ((0.0, 1000), (SETTLE, 100), (SETTLE + 0.5, 10)):
        world.now = now
        world.do("move", 1, amount)
        world.accounts.take(world.rows(), choice)
    known["name=x"] = world.now + 0.5
    world.now += 20
    world.do("move", 1, 1)
    world.accounts.take(world.rows(), choice)
    assert world.accounts.selectors.sums["name=x",].sent_bytes == 111


def test_selectors_have_no_more_series_than_others() -> None:
    world = World()
    world.do("begin", 1, 0)
    world.do("move", 1, 5)
    names = tuple(f"name={n}" for n in range(MOST + 2))
    choice = Choice(names, lambda _row: {names[-1]: 0.0})
    world.accounts.take(world.rows(), choice)
    sums = world.accounts.selectors.sums
    assert set(sums) == {*((name,) for name in names[:MOST]), (OTHER,)}
    assert sums[OTHER,].sent_bytes == 5
    # What is not asked for any more makes room.
    world.do("move", 1, 7)
    world.accounts.take(world.rows(), choice._replace(labels=names[-1:]))
    assert sums[names[-1],].sent_bytes == 7


def test_the_busiest_have_series_of_their_own() -> None:
    world = World()
    for pid in range(1, 8):
        world.do("begin", pid, 0)
        world.do("move", pid, pid)
    world.do("exit", 7, 0)
    world.accounts.take(world.rows())
    assert {key[0] for key in world.accounts.processes} == {"4", "5", "6"}
    assert world.accounts.other.sent_bytes == 1 + 2 + 3 + 7


def test_units() -> None:
    assert unit("/system.slice/nginx.service") == "nginx.service"
    assert unit("/system.slice/docker-0123.scope/init") == "docker-0123.scope"
    user = "/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service"
    assert unit(user) == "editor.service"
    assert unit("/user.slice") == unit("/") == ""
