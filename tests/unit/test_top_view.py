"""What `top` draws of a model, on screens of any size."""

from __future__ import annotations

import pytest

from netioctl.answers import Held, Process, Row, Totals
from netioctl.render.glyphs import Glyphs, columns
from netioctl.top import view
from netioctl.top.model import Model
from netioctl.top.sample import Connections, Sample
from netioctl.top.state import State

UTF8, ASCII = Glyphs(utf8=True), Glyphs(utf8=False)
EVIL = "ev\x1b[2Jil\u202e\n日本"
NOTES = ("netiod is away: waiting for the next, up to 10 s", "another", "a third")


def filled(count: int = 3) -> Model:
    """Process N moves N * 1000 bytes a second each way; the first has a name and connections."""
    top = Model(lambda uid: "alice\x07" if uid else "root", closed=False)
    for at in (10.0, 11.0):
        rows = []
        for number in range(count):
            name = EVIL if not number else f"p{number}"
            who = Process(100 + number, 1, name, number % 2, 0.0, "", None, True, 1)
            moved = int(at - 10) * number * 1000
            rows.append(Held(who, None, 1, None, Totals(moved, moved, number, number)))
        far = "/run/x\x1b]0;title\x07.sock"
        row = Row(100, "unix", "stream", None, far, Totals(int(at), 0, 1, 0))
        other = Row(100, "other", None, None, None, Totals(1, 1, 1, 1))
        taken = Connections(at, {(100, 1): (row, other)}, frozenset(((100, 1),)))
        top.take(Sample(at, at, tuple(rows), taken))
    return top


def shown(
    top: Model,
    state: State,
    size: tuple[int, int] = (80, 24),
    glyphs: Glyphs = UTF8,
    notes: tuple[str, ...] = (),
) -> list[str]:
    lines = view.draw(top, state, view.Frame("12:00:00", 1.0, notes), size, glyphs)
    return ["".join(span.text for span in line) for line in lines]


def press(top: Model, state: State, *keys: str, page: int = 19) -> None:
    for key in keys:
        state.press(key, top, page)


def test_a_screen() -> None:
    assert [line.rstrip() for line in shown(filled(), State())] == [
        "netioctl top  12:00:00  3 processes                                    every 1 s",
        "Sent        2.9 KB/s                                         █     2.9 KB in all",
        "Received    2.9 KB/s                                         █     2.9 KB in all",
        "    PID USER     COMM               SENT/s    RECV/s      SENT      RECV RATE▼",
        "    102 root     p2                 2.0 KB    2.0 KB    2.0 KB    2.0 KB       █",
        "    101 alice\\x… p1                 1000 B    1000 B    1000 B    1000 B       █",
        "    100 root     ev\\x1b[2Jil\\xe…       0 B       0 B       0 B       0 B",
        *[""] * 16,
        "q quit  h help  p pause  s sort  / filter  Enter open  c connections  t tree",
    ]


@pytest.mark.parametrize("glyphs", [UTF8, ASCII], ids=["utf8", "ascii"])
@pytest.mark.parametrize("keys", ["", "c", "t", "h", "/xyz", "i"])
def test_every_size_is_filled_and_none_exceeded(glyphs: Glyphs, keys: str) -> None:
    top, state = filled(50), State()
    press(top, state, *keys)
    for width in (1, 2, 7, 20, 40, 79, 80, 81, 132, 250):
        for height in (1, 2, 3, 4, 5, 8, 9, 10, 24, 60):
            lines = shown(top, state, (width, height), glyphs, NOTES)
            assert len(lines) <= height
            assert max(map(columns, lines)) <= width
            text = "".join(lines)
            assert text.isprintable()
            assert glyphs.utf8 or text.isascii()


def test_ten_thousand_rows_cost_only_those_that_are_seen() -> None:
    top, state, drawn = filled(10_000), State(), 0

    class Counting(Glyphs):
        def text(self, name: str) -> str:
            nonlocal drawn
            drawn += 1
            return super().text(name)

    lines = shown(top, state, glyphs=Counting(utf8=True))
    assert "10,000 processes" in lines[0]
    assert "10099" in lines[4]
    assert drawn < 100
    press(top, state, "end")
    assert any(line.startswith("    100 ") for line in shown(top, state))
    press(top, state, "page-up", "up")
    assert state.at == 9999 - 19 - 1


def test_notes_come_above_the_rows_and_take_no_more_than_two() -> None:
    lines = shown(filled(), State(), notes=NOTES)
    assert lines[3].startswith("netiod is away")
    assert lines[4].startswith("another")
    assert lines[5].startswith("    PID")


def test_drill_down_and_back() -> None:
    top, state = filled(), State()
    press(top, state, "down", "down", "enter")
    lines = [line.rstrip() for line in shown(top, state)]
    assert "2 connections of 100 (ev\\x1b[2Jil\\xe2\\x80\\xae" in lines[0]
    # Its own numbers, not those of all.
    assert lines[1].split() == ["Sent", "0", "B/s", "0", "B", "in", "all"]
    assert lines[3].startswith("PROTO  CONNECTION")
    assert any("* -> /run/x\\x1b]0;title\\x07.sock" in line for line in lines)
    assert any("(other connections)" in line for line in lines)
    press(top, state, "escape")
    lines = shown(top, state)
    assert "3 processes" in lines[0]
    # Back where one came from.
    assert state.rows(top)[state.at].entry.pid == 100


def test_filter_is_seen_while_it_is_typed_and_taken_back() -> None:
    top, state = filled(), State()
    press(top, state, "/", "p", "q", "backspace", "2", "\x1b[A", "é")
    assert shown(top, state)[-1].startswith("filter: p2é_")
    press(top, state, "backspace")
    lines = shown(top, state)
    assert "1 process, filter: p2" in lines[0]
    assert [line.split()[0] for line in lines[4:5]] == ["102"]
    press(top, state, "q", "enter")
    assert not state.quit
    assert "nothing matches" in shown(top, state)[4]
    press(top, state, "escape")
    assert "3 processes" in shown(top, state)[0]
    press(top, state, "/", "x", "escape")
    assert state.text == ""


def test_sort_goes_through_the_columns_that_are_seen() -> None:
    top, state = filled(), State()
    order = []
    for _ in range(8):
        shown(top, state)
        press(top, state, "s")
        order.append(state.sort.name)
    assert order == ["pid", "user", "comm", "sent-rate", "recv-rate", "sent", "recv", "rate"]
    press(top, state, "<", "r")
    title = shown(top, state)[3]
    assert "RECV▲" in title
    assert "RECV^" in shown(top, state, glyphs=ASCII)[3]


def test_pause_and_what_is_active() -> None:
    top, state = filled(), State()
    press(top, state, "p")
    assert shown(top, state)[0].rstrip().endswith("PAUSED")
    press(top, state, " ", "i")
    lines = shown(top, state)
    assert lines[0].rstrip().endswith("every 1 s")
    assert "2 processes, active ones" in lines[0]


def test_a_tree_is_drawn_by_what_followed_children_tell() -> None:
    top, state = filled(), State(tree=True, sort="pid")
    for (pid, _), member in top.members.items():
        member.parent = {100: 1, 101: 100, 102: 101}[pid]
    names = [line[17:32].rstrip() for line in shown(top, state)[4:7]]
    assert names == ["ev\\x1b[2Jil\\xe…", "└─p1", "  └─p2"]
    names = [line[17:32].rstrip() for line in shown(top, state, glyphs=ASCII)[4:7]]
    assert names[1:] == ["`-p1", "  `-p2"]


def test_sparklines() -> None:
    assert UTF8.sparkline([0, 1, 4, 8], 6) == "   ▂▅█"
    assert UTF8.sparkline([9, 9, 1, 8], 2) == "▂█"
    assert ASCII.sparkline([0, 1, 8], 3) == " .#"
    assert UTF8.sparkline([0.0, 0.0], 2) == "  "
    assert UTF8.sparkline([1e-300, 1.0], 2) == "▁█"
    assert UTF8.sparkline([], 3) == "   "
    assert UTF8.sparkline([1.0], 0) == ""


def test_wide_characters_are_cut_by_columns() -> None:
    assert UTF8.fit("日本語", 5) == "日本…"
    assert UTF8.fit("日本語", 4) == "日… "
    assert UTF8.fit("日本", 6, right=True) == "  日本"
