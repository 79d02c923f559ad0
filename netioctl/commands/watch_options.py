"""Options of verbs that show events: which of them, and what they look like."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netioctl.commands import options
from netioctl.render.events import COLUMNS, Form
from netioctl.wire.errors import UsageError

if TYPE_CHECKING:
    from netioctl.filters import Filter

F = TypeVar("F", bound=Callable[..., Any])

#: Where --help lists what is not among its other options.
_SECTIONS = {
    "Filters (all must hold; one of several values does)": (
        *("send", "recv", "remote", "port", "family", "proto", "call", "min_bytes", "errors"),
    ),
    "Form": ("as_json", "as_csv", "wide", "columns", "time", "resolve"),
}
_TIMES = ("local", "utc", "relative", "epoch")


class Sectioned(click.Command):
    """A command whose --help has its many options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                titles = (t for t, names in _SECTIONS.items() if parameter.name in names)
                sections.setdefault(next(titles, "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def filters(function: F) -> F:
    """--send, --recv, --remote ... as a parameter `chosen`: a Filter, or None for all events."""

    @functools.wraps(function)
    def command(*arguments: Any, **named: Any) -> Any:
        given = {name: named.pop(name) for name in _FILTERS}
        return function(*arguments, chosen=_filter(given), **named)

    for option in reversed(_FILTER_OPTIONS):
        option(command)
    return command  # type: ignore[return-value]


def form(function: F) -> F:
    """--json, --csv, --wide ... as parameters `form`, a Form, and `resolve`."""

    @functools.wraps(function)
    def command(
        *arguments: Any,
        as_json: bool,
        as_csv: bool,
        wide: bool,
        columns: tuple[str, ...],
        time: str | None,
        **named: Any,
    ) -> Any:
        chosen = _form(as_json, as_csv, wide, columns, time, named["resolve"])
        return function(*arguments, form=chosen, **named)

    for option in reversed(_FORM_OPTIONS):
        option(command)
    return command  # type: ignore[return-value]


def _filter(given: dict[str, Any]) -> Filter | None:
    if not any(given.values()):
        return None
    from netioctl import filters

    try:
        wanted = filters.Filter(
            filters.directions(given["send"], given["recv"]),
            filters.calls(given["call"]),
            0 if given["min_bytes"] is None else filters.size(given["min_bytes"]),
            filters.families(given["family"]),
            filters.kinds(given["proto"]),
            filters.remotes(given["remote"]),
            filters.ports(given["port"]),
            given["errors"],
        )
    except UsageError as error:
        raise click.UsageError(str(error), click.get_current_context()) from error
    return None if wanted == filters.EVERYTHING else wanted


def _form(
    as_json: bool,
    as_csv: bool,
    wide: bool,
    columns: tuple[str, ...],
    time: str | None,
    resolve: bool,
) -> Form:
    wrong = None
    if as_json and as_csv:
        wrong = "--json and --csv are two forms: choose one"
    elif wide and as_json:
        wrong = "--wide is for text: --json has every field anyway"
    elif wide and as_csv:
        wrong = "--wide is for text: --csv has every column anyway"
    elif wide and columns:
        wrong = "--wide is one choice of columns, and --columns another: give one"
    elif columns and as_json:
        wrong = "--columns is for text and --csv: --json has every field anyway"
    elif time and as_json:
        wrong = "--time is for text and --csv: --json has seconds since the epoch"
    elif resolve and as_json:
        wrong = "--resolve is for text and --csv: --json has addresses"
    if wrong:
        raise click.UsageError(wrong, click.get_current_context())
    if as_json:
        return Form("json")
    if as_csv:
        return Form("csv", columns or COLUMNS, time or "epoch")
    if columns:
        return Form("columns", columns, time or "local")
    return Form("wide" if wide else "text", (), time or "local")


def _parse_columns(
    context: click.Context, _parameter: click.Parameter, value: Sequence[str]
) -> tuple[str, ...]:
    if not value:
        return ()
    names = [name.strip().lower() for each in value for name in each.split(",")]
    for at, name in enumerate(names):
        if not name:
            raise click.UsageError(f"--columns: a word is missing in {','.join(value)!r}", context)
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise click.UsageError(f"--columns does not know {name}; it knows {known}", context)
        if name in names[:at]:
            raise click.UsageError(f"--columns has {name} twice", context)
    return tuple(names)


_FILTERS = _SECTIONS["Filters (all must hold; one of several values does)"]
_FILTER_OPTIONS = (
    click.option("--send", is_flag=True, help="What is sent."),
    click.option("--recv", is_flag=True, help="What is received."),
    click.option(
        "--remote",
        multiple=True,
        metavar="HOST|CIDR",
        help="The other end: an address, a network (10.0.0.0/8), or a name, looked up at once.",
    ),
    click.option(
        "--port",
        multiple=True,
        metavar="PORT",
        help="A port of either end: 443, https, 8000-8100.",
    ),
    click.option("--family", multiple=True, metavar="NAME", help="inet, inet6, unix, netlink ..."),
    click.option(
        "--proto",
        multiple=True,
        metavar="NAME",
        help="tcp, udp, u_str ..., as --wide names them; unix for all that begin with u_.",
    ),
    click.option(
        "--call",
        multiple=True,
        metavar="NAME",
        help="recvfrom, sendmsg ..., as --wide names them; libc's send and recv also do.",
    ),
    click.option("--min-bytes", metavar="SIZE", help="So many bytes or more: 1000, 64K, 1M."),
    click.option(
        "--errors",
        is_flag=True,
        help="What failed, with the name of its error (EPIPE, ECONNRESET ...) instead of bytes. "
        "That there was nothing yet, or no room yet (EAGAIN), is no failure.",
    ),
)
_FORM_OPTIONS = (
    options.as_json,
    click.option(
        "--csv",
        "as_csv",
        is_flag=True,
        help="A header and a line an event on stdout, nothing else (RFC 4180). A text that a "
        "spreadsheet would take for a formula begins with '. What is missing is told on "
        "stderr, and then the exit status is 1.",
    ),
    click.option(
        "--wide",
        is_flag=True,
        help="All columns, and none cut: microseconds, thread, call, and the protocol as ss "
        "names it (tcp, udp, icmp6, u_str and u_dgr for unix sockets, nl for netlink); - where "
        "unknown.",
    ),
    click.option(
        "--columns",
        multiple=True,
        metavar="NAME,...",
        callback=_parse_columns,
        help="These, in this order: time, dir, pid, tid, comm, call, family, proto, bytes, "
        "local, remote. For text and --csv.",
    ),
    click.option(
        "--time",
        type=click.Choice(_TIMES),
        help="Times of day here or of UTC, or seconds since the watch began or since the epoch. "
        "Text has local, --csv epoch.",
    ),
    click.option(
        "--resolve",
        is_flag=True,
        help="Names of hosts and ports, as they become known: lines never wait for them.",
    ),
)
