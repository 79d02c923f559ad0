"""Which renderer draws events as they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from netioctl.answers import Totals
    from netioctl.stream import Events, Lost
    from netioctl.wire.endpoints import Connection


#: Every column that there is.
COLUMNS = (
    *("time", "dir", "pid", "tid", "comm", "call", "family", "proto", "bytes", "local", "remote"),
    "error",
)


class Form(NamedTuple):
    """How events are wanted: `kind` is text, wide, columns, csv or json.

    `columns` is for columns and csv, `time` (clocks.FORMS) and `colour` for all but json, and
    `colour` not for csv. `failed`: all events are operations that failed, and text has the names
    of errors where it has bytes else.
    """

    kind: str = "text"
    columns: tuple[str, ...] = ()
    time: str = "local"
    colour: bool = False
    failed: bool = False


TEXT = Form()


class Drawer(Protocol):
    """What the renderers of events have in common."""

    def begin(self, width: int | None) -> str: ...  # noqa: D102 # as they say themselves
    def events(self, item: Events, width: int | None) -> str: ...  # noqa: D102
    def lost(self, item: Lost) -> str: ...  # noqa: D102
    def interrupted(self, seconds: float, events: int | None) -> str: ...  # noqa: D102
    def missed(self, operations: int) -> str: ...  # noqa: D102
    def skipped(self, seconds: float, what: Totals) -> str: ...  # noqa: D102
    @property
    def forget(self) -> Callable[[], None]: ...  # noqa: D102


def drawer(form: Form, lookup: Callable[[int], Connection], began: int) -> Drawer:
    """The renderer for events whose connections `lookup` tells.

    `began`: nanoseconds since the epoch from which relative times count.
    """
    if form.kind == "json":
        from netioctl.render.json_events import JsonEvents

        return JsonEvents(lookup, failed=form.failed)
    from netioctl.render import palette
    from netioctl.render.clocks import Clock

    clock = Clock(form.time, began)
    if form.kind == "csv":
        from netioctl.render.csv_events import CsvEvents

        return CsvEvents(lookup, form.columns, clock)
    colours = palette.colours() if form.colour else palette.PLAIN
    if form.kind == "columns":
        from netioctl.render.column_events import ColumnEvents

        return ColumnEvents(lookup, form.columns, clock, colours)
    if form.kind == "wide":
        from netioctl.render.wide_events import WideEvents

        return WideEvents(lookup, clock, colours, failed=form.failed)
    from netioctl.render.text_events import TextEvents

    return TextEvents(lookup, clock, colours, failed=form.failed)
