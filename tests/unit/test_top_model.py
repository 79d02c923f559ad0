"""What `top` makes of samples: rates, totals, who is there, order, tree."""

from __future__ import annotations

import pytest

from netioctl.answers import Held, Process, Row, Totals
from netioctl.top import order
from netioctl.top.columns import CONNECTIONS, PROCESSES, Entry, fit, named
from netioctl.top.model import STAYS, Member, Model
from netioctl.top.sample import Connections, Sample
from netioctl.top.state import State

WALL = 1_000_000.0


def process(pid: int, *, start: int = 1, since: float = 0.0, attached: int = 1) -> Process:
    return Process(pid, start, f"p{pid}", 0, since, "", None, True, attached)


def held(who: Process, sent: int, received: int = 0, exited: float | None = None) -> Held:
    ops = int(bool(sent)), int(bool(received))
    return Held(who, None, 1, exited, Totals(sent, received, *ops))


def sample(at: float, *rows: Held) -> Sample:
    return Sample(at, WALL + at, rows, None)


def model(*, closed: bool = False) -> Model:
    return Model(lambda uid: f"user{uid}", closed=closed)


def member(of: Model, pid: int) -> Member:
    (found,) = (each for each in of.members.values() if each.pid == pid)
    return found


def rate(entry: Entry) -> tuple[float, float] | None:
    rates = entry.meter.rates
    return None if rates is None else (rates.sent_bytes, rates.recv_bytes)


def test_rates_are_differences_over_the_time_that_really_passed() -> None:
    top = model()
    top.take(sample(10.0, held(process(1), 5000, 100)))
    assert rate(member(top, 1)) is None
    assert not top.rated
    top.take(sample(12.5, held(process(1), 10_000, 100)))
    assert rate(member(top, 1)) == (2000.0, 0.0)
    assert (top.rates.sent_bytes, top.rates.recv_bytes) == (2000.0, 0.0)
    assert top.total == Totals(10_000, 100, 1, 1)
    top.take(sample(13.0, held(process(1), 10_000, 100)))
    assert rate(member(top, 1)) == (0.0, 0.0)
    assert list(member(top, 1).meter.history or ()) == [2000.0, 0.0]


def test_who_comes_between_two_samples_had_counted_nothing_before() -> None:
    top = model()
    top.take(sample(10.0))
    new, old = process(1, since=WALL + 10.5), process(2, since=WALL - 50)
    # We were told late that this one is ours.
    late = process(3, since=WALL + 9.5)
    top.take(sample(12.0, held(new, 1000), held(old, 1000), held(late, 1000)))
    assert rate(member(top, 1)) == (500.0, 0.0)
    assert rate(member(top, 3)) == (400.0, 0.0)
    # Its bytes may be years old.
    assert rate(member(top, 2)) is None


def test_counters_that_began_anew_make_no_negative_rate_and_are_told() -> None:
    for before, after in ((9000, 500), (100, 500)):
        top = model()
        top.take(sample(10.0, held(process(1), before)))
        again = process(1, since=WALL + 10.8, attached=2)
        top.take(sample(11.0, held(again, after)))
        assert rate(member(top, 1)) == (after, 0.0)
        assert top.anew == 1
        assert top.total.sent_bytes == after


def test_a_reused_pid_is_another_process() -> None:
    top = model()
    top.take(sample(10.0, held(process(1), 9000)))
    second = process(1, start=2, since=WALL + 10.5)
    top.take(sample(11.0, held(process(1), 9500, exited=WALL + 10.2), held(second, 30)))
    by_start = {each.start: each for each in top.members.values()}
    assert rate(by_start[1]) == (500.0, 0.0)
    assert rate(by_start[2]) == (30.0, 0.0)
    assert by_start[1].exited is not None
    assert by_start[2].exited is None


def test_who_has_exited_goes_after_a_while_and_stays_in_the_totals() -> None:
    top = model()
    top.take(sample(10.0, held(process(1), 900), held(process(2), 1)))
    gone = held(process(1), 1000, exited=WALL + 10.5)
    top.take(sample(11.0, gone, held(process(2), 1)))
    assert rate(member(top, 1)) == (100.0, 0.0)
    top.take(sample(12.0, gone, held(process(2), 1)))
    assert rate(member(top, 1)) == (0.0, 0.0)
    top.take(sample(12.0 + STAYS, gone, held(process(2), 1)))
    assert [each.pid for each in top.members.values()] == [2]
    assert top.total.sent_bytes == 1001
    # Without anybody left what they did is still worth a look.
    top.take(sample(40.0, held(process(2), 1, exited=WALL + 30)))
    top.take(sample(80.0))
    assert [each.pid for each in top.members.values()] == [2]


def test_only_those_that_were_asked_for() -> None:
    top = model(closed=True)
    top.began(process(1))
    top.began(process(3), 1)
    top.take(sample(10.0, held(process(1), 1), held(process(2), 1), held(process(3), 1)))
    assert {each.pid: each.parent for each in top.members.values()} == {1: None, 3: 1}


def rows(at: float, covered: Process, *entries: tuple[str, int]) -> Sample:
    key = (covered.pid, covered.start)
    found = tuple(
        Row(covered.pid, "inet", "tcp", "127.0.0.1:1", remote, Totals(sent, 0, 1, 0))
        for remote, sent in entries
    )
    return Sample(at, WALL + at, None, Connections(at, {key: found}, frozenset((key,))))


def test_connections_have_rates_too_new_ones_at_once() -> None:
    top = model()
    top.take(sample(10.0, held(process(1), 1)))
    top.take(rows(10.0, process(1), ("a", 100)))
    (first,) = top.connections()
    assert rate(first) is None
    top.take(rows(12.0, process(1), ("a", 300), ("b", 50)))
    assert {c.remote: rate(c) for c in top.connections()} == {"a": (100.0, 0.0), "b": (25.0, 0.0)}
    # Nothing was read, because the process's own counters had not changed.
    key = (1, 1)
    top.take(Sample(13.0, WALL, None, Connections(13.0, {}, frozenset((key,)))))
    assert [rate(c) for c in top.connections()] == [(0.0, 0.0)] * 2
    top.take(rows(15.0, process(1), ("b", 60)))
    assert {c.remote: rate(c) for c in top.connections()} == {"b": (5.0, 0.0)}


def filled() -> Model:
    top = model()
    for at, factor in ((10.0, 0), (11.0, 1)):
        counts = {1: 10, 2: 300, 3: 20, 4: 0}
        top.take(sample(at, *(held(process(pid), n * factor) for pid, n in counts.items())))
    return top


@pytest.mark.parametrize(
    ("sort", "reverse", "pids"),
    [
        ("rate", False, [2, 3, 1, 4]),
        ("rate", True, [4, 1, 3, 2]),
        ("pid", False, [1, 2, 3, 4]),
        ("pid", True, [4, 3, 2, 1]),
        # All the same: whoever has moved most is first, either way.
        ("user", False, [2, 3, 1, 4]),
        ("user", True, [2, 3, 1, 4]),
    ],
)
def test_order(sort: str, reverse: bool, pids: list[int]) -> None:
    top = filled()
    column = named(PROCESSES, sort)
    entries = order.ordered(list(top.members.values()), column, reverse=reverse)
    assert [entry.pid for entry in entries] == pids


def test_a_filter_takes_words_that_must_all_match() -> None:
    top = filled()
    top.take(rows(12.0, process(2), ("10.0.0.1:443", 1), ("10.0.0.2:80", 1)))

    def found(text: str) -> list[str | None]:
        return [c.remote for c in order.chosen(top.connections(), text, active=False)]

    assert found("P2 :443") == ["10.0.0.1:443"]
    assert len(found("tcp 10.0.0")) == 2
    assert found("p1") == []


def test_tree_keeps_the_order_among_siblings_and_loses_nobody() -> None:
    top = filled()
    parents = {1: 4, 2: 1, 3: 1, 4: 99}
    members = order.ordered(list(top.members.values()), named(PROCESSES, "rate"), reverse=False)
    shown = order.tree(members, lambda each: parents[each.pid])
    assert [(row.entry.pid, row.branch) for row in shown] == [
        (4, ()),
        (1, (False,)),
        (2, (False, True)),
        (3, (False, False)),
    ]
    circle = order.tree(members, lambda each: 5 - each.pid)
    assert sorted(row.entry.pid for row in circle) == [1, 2, 3, 4]


@pytest.mark.parametrize("columns", [PROCESSES, CONNECTIONS])
def test_columns_fill_a_width_and_never_more(columns: tuple) -> None:
    for width in range(1, 300):
        shown = fit(columns, width)
        assert shown
        used = sum(size + 1 for _, size in shown) - 1
        assert used <= max(width, 7)
        names = [column.name for column, _ in shown]
        if width >= 80:
            assert {"pid", "sent-rate", "recv-rate", "rate"} <= set(names)
    names_80 = [column.name for column, _ in fit(PROCESSES, 80)]
    assert {"user", "comm", "sent", "recv"} <= set(names_80)


def test_what_is_selected_stays_so_when_the_order_changes() -> None:
    top, state = filled(), State()
    state.press("down", top, 10)
    assert state.rows(top)[state.at].entry.pid == 3
    top.take(sample(12.0, *(held(process(pid), n) for pid, n in {1: 11, 2: 301, 3: 9999}.items())))
    assert [row.entry.pid for row in state.rows(top)][:2] == [3, 2]
    assert state.at == 0
    # Only who has chosen nothing looks at the first, whichever that is.
    state.press("home", top, 10)
    top.take(sample(13.0, *(held(process(pid), n) for pid, n in {1: 9999, 2: 302}.items())))
    assert state.rows(top)[state.at].entry.pid == 1
