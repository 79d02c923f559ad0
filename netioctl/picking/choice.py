"""What was typed, marked and chosen in the list of candidates. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from netioctl.picking.candidates import Candidate

#: Characters of a filter.
_LONGEST = 40


class Choice:
    """Keys are named as State of `top` has them; any other character is part of the filter."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self.marked: set[int] = set()
        self.text = ""
        self.at = self.top = 0
        #: What was chosen; empty: nothing, for good. None: there is no choice yet.
        self.chosen: tuple[int, ...] | None = None

    @property
    def rows(self) -> list[Candidate]:
        """Those that match what was typed."""
        text = self.text.lower()
        return [
            each
            for each in self._candidates
            if text in f"{each.pid} {each.comm} {each.command}".lower()
        ]

    def place(self, page: int) -> None:
        """Scroll so that the current row is seen on a page of so many."""
        count = len(self.rows)
        self.at = max(0, min(self.at, count - 1))
        self.top = max(self.at - page + 1, min(self.top, self.at, max(0, count - page)), 0)

    def press(self, key: str, page: int) -> None:
        """Do what a key asks for; `page` is how many rows are seen."""
        rows, page = self.rows, max(1, page)
        steps = {"up": -1, "down": 1, "page-up": -page, "page-down": page}
        if key in steps:
            self.at = max(0, min(len(rows) - 1, self.at + steps[key]))
        elif key in ("home", "end"):
            self.at = 0 if key == "home" else max(0, len(rows) - 1)
        elif key == " ":
            if rows:
                self.marked ^= {rows[min(self.at, len(rows) - 1)].pid}
                self.at = min(len(rows) - 1, self.at + 1)
        elif key == "enter":
            self._enter(rows)
        elif key == "escape" and not self.text:
            self.chosen = ()
        else:
            self._type(key)

    def _enter(self, rows: Sequence[Candidate]) -> None:
        if self.marked:
            self.chosen = tuple(each.pid for each in self._candidates if each.pid in self.marked)
        elif rows:
            self.chosen = (rows[min(self.at, len(rows) - 1)].pid,)

    def _type(self, key: str) -> None:
        if key == "backspace":
            self.text = self.text[:-1]
        elif key in ("clear", "escape"):
            self.text = ""
        elif len(key) == 1 and key.isprintable() and len(self.text) < _LONGEST:
            self.text += key
        self.at = 0
