"""Events as lines for people, in the columns that they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netioctl.render.cells import Cells
from netioctl.render.clocks import LOCAL, Clock
from netioctl.render.losses import LossLines
from netioctl.render.palette import PLAIN, Palette
from netioctl.render.words import printable
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

#: Columns of the longest; of addresses, that of the longest of IPv4.
_WIDTHS = {
    "dir": 4,
    "pid": 7,
    "tid": 7,
    "comm": 15,
    "call": 10,
    "family": 7,
    "proto": 8,
    "local": 21,
    "remote": 21,
    "error": len("ECONNREFUSED"),
}
_BYTES = len("4,294,967,295")


class ColumnEvents(LossLines):
    """Draws what a stream's Reader returns, as WideEvents does, in the order of `columns`."""

    def __init__(
        self,
        lookup: Callable[[int], Connection],
        columns: Sequence[str],
        clock: Clock = LOCAL,
        palette: Palette = PLAIN,
    ) -> None:
        super().__init__(palette)
        self._columns = columns
        self._widths = {**_WIDTHS, "time": clock.long_width}
        names = layout.load().names("DIR")
        self._colours = {name: palette.direction(number) for number, name in names.items()}
        self._cells = Cells(columns, lookup, clock, self._cell, " ", "\n")
        self.forget = self._cells.forget

    def begin(self, width: int | None) -> str:  # noqa: ARG002 # as TextEvents has it
        """The header line."""
        return " ".join(self._fit(name, name.upper()) for name in self._columns) + "\n"

    def events(self, item: Events, width: int | None) -> str:  # noqa: ARG002 # likewise
        """A line for each event."""
        return self._cells.lines(item)

    def _cell(self, column: str, value: str | int | None) -> str:
        if column == "bytes":
            return self._fit(column, f"{value:,}")
        if column == "dir":
            word = str(value or "?")
            before, after = self._colours.get(word, ""), self._palette.end
            return f"{before}{self._fit(column, word.upper())}{after}"
        unknown = "*" if column in ("local", "remote") else "-"
        return self._fit(column, unknown if value is None else printable(str(value)))

    def _fit(self, column: str, text: str) -> str:
        if column == "bytes":
            return f"{text:>{_BYTES}}"
        # Nothing stands behind the last one that needs its place.
        return text if column == self._columns[-1] else f"{text:<{self._widths[column]}}"
