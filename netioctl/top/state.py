"""What the person at the screen has chosen, and what their keys do. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence

from netioctl.top import order
from netioctl.top.columns import CONNECTIONS, PROCESSES, Column, Entry, named
from netioctl.top.model import Member, Model
from netioctl.top.order import Shown

#: Characters of a filter.
_LONGEST = 60


class State:
    """The view: which table, of what, in which order, and where in it.

    Keys are characters, or the names `up`, `down`, `left`, `right`, `page-up`, `page-down`,
    `home`, `end`, `enter`, `escape`, `backspace`, `clear`.
    """

    def __init__(
        self,
        *,
        connections: bool = False,
        tree: bool = False,
        sort: str = "rate",
        reverse: bool = False,
        text: str = "",
    ) -> None:
        self.connections, self.tree = connections, tree
        #: Drill-down: connections of this process alone.
        self.only: Member | None = None
        self.paused = self.help = self.typing = self.active = self.quit = False
        #: Name of the column and whether its order is turned round, by table.
        self._sorts = {True: (sort, reverse), False: (sort, reverse)}
        self._filters = {True: text, False: text}
        #: The entry that was chosen; None: the first one, whichever that is.
        self.selected: Entry | None = None
        #: Index of the selected row, and of the topmost that is seen.
        self.at = self.top = 0
        #: Columns that are seen, as the view last had them.
        self.seen: Sequence[Column] = ()
        self._before = ""
        self._cached: tuple[object, list[Shown]] = (None, [])

    @property
    def columns(self) -> Sequence[Column]:
        """Those of this table."""
        return CONNECTIONS if self.connections else PROCESSES

    @property
    def sort(self) -> Column:
        """What it is sorted by."""
        return named(self.columns, self._sorts[self.connections][0])

    @property
    def reverse(self) -> bool:
        """Whether that order is turned round."""
        return self._sorts[self.connections][1]

    @property
    def text(self) -> str:
        """What rows have to match."""
        return self._filters[self.connections]

    def rows(self, model: Model) -> list[Shown]:
        """All rows in order; made anew only where something has changed."""
        key = (
            *(model.generation, self.connections, self.only, self.tree, self.sort.name),
            *(self.reverse, self.text, self.active),
        )
        if self._cached[0] != key:
            self._cached = (key, self._rows(model))
            self._follow()
        return self._cached[1]

    def place(self, model: Model, page: int) -> None:
        """Scroll so that the selected row is seen on a page of so many rows."""
        count = len(self.rows(model))
        self.at = max(0, min(self.at, count - 1))
        self.top = max(self.at - page + 1, min(self.top, self.at, max(0, count - page)), 0)

    def press(self, key: str, model: Model, page: int) -> None:
        """Do what a key asks for; `page` is how many rows are seen."""
        if self.typing:
            self._type(key)
        elif self.help:
            self.help = False
        elif key in ("q", "Q"):
            self.quit = True
        elif key in _MOVES:
            self._move(_MOVES[key], model, max(1, page))
        elif key == "enter":
            self._open(model)
        elif key == "escape":
            self._back()
        elif key in _KEYS:
            getattr(self, _KEYS[key])()

    def _rows(self, model: Model) -> list[Shown]:
        column, reverse = self.sort, self.reverse
        if self.connections:
            all_ = model.connections() if self.only is None else self.only.connections.values()
            found = order.chosen(all_, self.text, active=self.active)
            return [Shown(each) for each in order.ordered(found, column, reverse=reverse)]
        members = order.chosen(model.members.values(), self.text, active=self.active)
        members = order.ordered(members, column, reverse=reverse)
        return order.tree(members, parent) if self.tree else [Shown(each) for each in members]

    def _follow(self) -> None:
        """What was selected stays so, wherever it is now."""
        if self.selected is None:
            self.at = 0
            return
        for at, row in enumerate(self._cached[1]):
            if row.entry is self.selected:
                self.at = at
                return

    # --- keys ---------------------------------------------------------------------------------

    def _move(self, way: tuple[int, int], model: Model, page: int) -> None:
        rows = self.rows(model)
        by, pages = way
        self.at = max(0, min(len(rows) - 1, self.at + by + pages * page))
        self.selected = rows[self.at].entry if rows else None

    def _home(self) -> None:
        self.selected, self.at = None, 0

    def _open(self, model: Model) -> None:
        rows = self.rows(model)
        if not rows or self.only is not None:
            return
        self.only = rows[min(self.at, len(rows) - 1)].entry.process
        self._table(True)

    def _back(self) -> None:
        if self.text:
            self._filters[self.connections] = ""
        elif self.only is not None:
            member, self.only = self.only, None
            self._table(False)
            self.selected = member

    def _switch(self) -> None:
        self.only = None
        self._table(not self.connections)

    def _table(self, connections: bool) -> None:
        self.connections = connections
        # A filter of one table rarely means anything in the other.
        self._filters[connections] = "" if self.only is not None else self._filters[connections]
        self.top = 0
        self._home()

    def _next(self, step: int = 1) -> None:
        columns = [column for column in self.columns if column in self.seen] or self.columns
        current = self.sort
        at = next((i for i, column in enumerate(columns) if column is current), -step)
        name = columns[(at + step) % len(columns)].name
        self._sorts[self.connections] = (name, False)
        self._home()

    def _previous(self) -> None:
        self._next(-1)

    def _turn(self) -> None:
        self._sorts[self.connections] = (self.sort.name, not self.reverse)
        self._home()

    def _pause(self) -> None:
        self.paused = not self.paused

    def _as_tree(self) -> None:
        if not self.connections:
            self.tree = not self.tree

    def _only_active(self) -> None:
        self.active = not self.active

    def _help(self) -> None:
        self.help = True

    def _filter(self) -> None:
        self._before, self.typing = self.text, True

    def _type(self, key: str) -> None:
        text = self.text
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing, text = False, self._before
        elif key == "backspace":
            text = text[:-1]
        elif key == "clear":
            text = ""
        elif len(key) == 1 and key.isprintable() and len(text) < _LONGEST:
            text += key
        self._filters[self.connections] = text


#: Rows, and pages of rows.
_MOVES = {
    "up": (-1, 0),
    "k": (-1, 0),
    "down": (1, 0),
    "j": (1, 0),
    "page-up": (0, -1),
    "page-down": (0, 1),
    "end": (1 << 40, 0),
    "G": (1 << 40, 0),
}
_KEYS = {
    **dict.fromkeys(("p", " "), "_pause"),
    **dict.fromkeys(("s", ">", "right"), "_next"),
    **dict.fromkeys(("<", "left"), "_previous"),
    **dict.fromkeys(("r", "R"), "_turn"),
    "c": "_switch",
    "t": "_as_tree",
    "i": "_only_active",
    "/": "_filter",
    **dict.fromkeys(("home", "g"), "_home"),
    **dict.fromkeys(("h", "?"), "_help"),
}


def parent(member: Member) -> int | None:
    """Whose child it is: as the daemon told when it came, else as /proc says."""
    if member.parent is None:
        # Once is enough, and for those alone that are shown as a tree.
        member.parent = _parent(member)
    return member.parent or None


def _parent(member: Member) -> int:
    try:
        with open(f"/proc/{member.pid}/stat", "rb") as file:
            # The name, in brackets, may hold anything.
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[1]) if int(fields[19]) == member.start else 0
    except (OSError, ValueError, IndexError):
        return 0
