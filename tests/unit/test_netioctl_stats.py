"""Sums and differences of counters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netioctl import stats
from netioctl.answers import Row, Summary, Totals


def _row(pid: int, remote: str | None, *counters: int, family: str = "inet") -> Row:
    return Row(pid, family, "tcp", "127.0.0.1:1", remote, Totals(*counters))


def _other(pid: int, *counters: int) -> Row:
    return Row(pid, stats.OTHER, None, None, None, Totals(*counters))


def _summary(*rows: Row, complete: bool = True, until: float = 20.0) -> Summary:
    return Summary(stats.total(rows), rows, (), (), complete, 10.0, until)


def test_a_watch_takes_only_what_came_during_it() -> None:
    base = _summary(_row(1, "a", 100, 50, 2, 1), _row(1, "b", 7), until=15.0)
    end = _summary(_row(1, "a", 150, 50, 3, 1), _row(1, "b", 7), _row(1, "c", 1))
    result = stats.subtract(end, base)
    assert result.rows == (_row(1, "a", 50, 0, 1, 0), _row(1, "c", 1))
    assert result.total == Totals(51, 0, 1, 0)
    assert (result.since, result.until, result.complete) == (15.0, 20.0, True)


def test_a_row_that_made_room_for_others_counts_among_others() -> None:
    base = _summary(_row(1, "a", 100), _row(1, "b", 10), _other(1, 5))
    # Row a was dropped with 120 bytes, which are now among the others; b came anew with 3.
    end = _summary(_row(1, "b", 3), _other(1, 5 + 120 + 10))
    result = stats.subtract(end, base)
    assert result.total == Totals(23)
    assert result.rows == (_other(1, 23),)
    assert stats.total(result.rows) == result.total


def test_rows_that_come_out_of_others_do_not_count_twice() -> None:
    base = _summary(_row(1, "a", 10), _other(1, 100))
    end = _summary(_row(1, "a", 15), _row(1, "b", 120), _row(1, "c", 3))
    result = stats.subtract(end, base)
    assert result.rows == (_row(1, "a", 5), _row(1, "b", 20), _row(1, "c", 3))
    assert result.total == Totals(28)
    assert result.complete


def test_counters_that_began_anew_are_taken_whole_and_said_to_be() -> None:
    base = _summary(_row(1, "a", 100), _row(2, "a", 10))
    end = _summary(_row(1, "a", 30), _row(2, "a", 15))
    result = stats.subtract(end, base)
    assert result.rows == (_row(1, "a", 30), _row(2, "a", 5))
    assert result.total == Totals(35)
    assert not result.complete


def test_a_process_that_has_vanished_leaves_the_result_incomplete() -> None:
    result = stats.subtract(_summary(), _summary(_row(1, "a", 100)))
    assert result.rows == ()
    assert result.total == Totals()
    assert not result.complete


def test_what_escaped_before_the_watch_is_not_missing_from_it() -> None:
    base = _summary(_row(1, "a", 100), complete=False)._replace(missed=5)
    end = _summary(_row(1, "a", 150), complete=False)._replace(missed=5)
    result = stats.subtract(end, base)
    assert (result.missed, result.complete) == (0, True)
    result = stats.subtract(end._replace(missed=17), base)
    assert (result.missed, result.complete) == (12, False)
    # Counters that began anew are another reason.
    result = stats.subtract(end._replace(rows=(_row(1, "a", 1),)), base)
    assert (result.missed, result.complete) == (0, False)
    # A daemon that does not tell how many.
    result = stats.subtract(end._replace(missed=0), base._replace(missed=0))
    assert (result.missed, result.complete) == (0, False)


def test_what_escaped_is_of_all_processes_and_not_added_up() -> None:
    parts = [_summary(_row(pid, "a", 1))._replace(missed=pid + 5) for pid in (3, 1, 2)]
    assert stats.combine(parts).missed == 8
    assert stats.combine([]).missed == 0


def test_rows_with_the_same_words_are_one() -> None:
    rows = (_row(1, None, 1), _row(2, None, 2), _row(1, None, 3))
    assert stats.merge(rows) == (_row(1, None, 4), _row(2, None, 2))


def test_the_heaviest_comes_first() -> None:
    rows = (_row(1, "a", 1), _row(1, "b", 0, 9), _row(1, "c", 5, 5))
    assert [row.remote for row in stats.heaviest_first(rows)] == ["c", "b", "a"]


def test_summaries_of_several_processes_add_up() -> None:
    parts = [_summary(_row(1, "a", 1)), _summary(_row(2, "b", 2), complete=False, until=30.0)]
    result = stats.combine(parts)
    assert result.total == stats.total(result.rows) == Totals(3)
    assert (result.since, result.until, result.complete) == (10.0, 30.0, False)
    assert stats.combine([]).total == Totals()


_counters = st.builds(Totals, *[st.integers(0, 1 << 62)] * 4)
_words = st.tuples(st.integers(1, 3), st.sampled_from(["a", "b", None]))


@given(
    st.dictionaries(_words, _counters),
    st.dictionaries(_words, _counters),
    st.sets(_words),
    st.sets(_words),
)
def test_rows_always_add_up_to_the_total(
    before: dict[tuple[int, str], Totals],
    more: dict[tuple[int, str], Totals],
    hidden: set[tuple[int, str]],
    dropped: set[tuple[int, str]],
) -> None:
    """Whatever rows come, grow, come out of `other` and move there."""
    base = _summary(
        *(
            _row(*words, *counters) if words not in hidden else _other(words[0], *counters)
            for words, counters in before.items()
        )
    )
    rows: dict[tuple[int, str], Totals] = dict(before)
    other: dict[int, Totals] = {}
    for words, counters in more.items():
        rows[words] = stats.add(rows.get(words, Totals()), counters)
    for words in dropped & set(rows):
        other[words[0]] = stats.add(other.get(words[0], Totals()), rows.pop(words))
    end = _summary(
        *(_row(*words, *counters) for words, counters in rows.items()),
        *(_other(pid, *counters) for pid, counters in other.items()),
    )
    result = stats.subtract(end, base)
    assert result.complete
    assert result.total == stats.total(result.rows) == stats.minus(end.total, base.total)
    assert all(min(row.total) >= 0 for row in result.rows)
