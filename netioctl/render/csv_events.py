"""Events as CSV (RFC 4180): a header, then a line for each event and nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netioctl.render.cells import Cells
from netioctl.render.clocks import Clock
from netioctl.render.losses import LossLines
from netioctl.render.words import printable

if TYPE_CHECKING:
    from netioctl.stream import Events
    from netioctl.wire.endpoints import Connection

END = "\r\n"
#: How a spreadsheet tells a formula from a text.
_FORMULA = ("=", "+", "-", "@")


class CsvEvents(LossLines):
    """Draws what a stream's Reader returns.

    What is missing has no place among the events: where the lines of LossLines go is up to
    whoever has them.
    """

    def __init__(
        self,
        lookup: Callable[[int], Connection],
        columns: Sequence[str],
        clock: Clock,
    ) -> None:
        super().__init__()
        self._columns = columns
        self._cells = Cells(columns, lookup, clock._replace(dated=True), _cell, ",", END)
        self.forget = self._cells.forget

    def begin(self, width: int | None) -> str:  # noqa: ARG002 # as TextEvents has it
        """The header line."""
        return ",".join(self._columns) + END

    def events(self, item: Events, width: int | None) -> str:  # noqa: ARG002 # likewise
        """A line for each event."""
        return self._cells.lines(item)


def text(value: str) -> str:
    """A text as a cell: printable, quoted where it must be, and no formula to a spreadsheet."""
    shown = printable(value)
    if shown.startswith(_FORMULA):
        shown = f"'{shown}"
    written = io.StringIO()
    # Two cells, since one that is empty and alone would be quoted.
    csv.writer(written).writerow((shown, ""))
    return written.getvalue()[: -len("," + END)]


def _cell(_column: str, value: str | int | None) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if value is None else text(value)
