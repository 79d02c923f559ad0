"""The daemon's answers as types: checked once where they arrive. PROTOCOL.md section 1 has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from netioctl.fields import boolean, integer, list_, number, object_, optional, text
from netioctl.wire.control import Object
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import ProtocolError


class Totals(NamedTuple):
    """Counters of a process or a connection: bytes and operations."""

    sent_bytes: int = 0
    recv_bytes: int = 0
    send_ops: int = 0
    recv_ops: int = 0


class Hello(NamedTuple):
    """Who answers. `layout`: fingerprint of event.h; `operator`: may hold any process."""

    protocol: int
    version: str
    layout: int
    operator: bool


class Process(NamedTuple):
    """A process that is attached. `start` in clock ticks since boot, `since` in epoch seconds.

    `fresh` is true where this very request attached it, so that its counters began at zero.
    `attached` tells its counters from others: they began when that was made. In a summary,
    `published` is the index that its next event will have, `lost` the events that found no room.
    """

    pid: int
    start: int
    comm: str
    uid: int
    since: float
    topic: str
    notice: str | None
    fresh: bool
    attached: int | None = None
    published: int | None = None
    lost: int | None = None


class Failure(NamedTuple):
    """A PID for which a request failed; `code` is one of errors.Code."""

    pid: int
    code: int
    message: str


class Changes(NamedTuple):
    """The answer to add and remove."""

    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]
    #: For each selector whether it was not added before, or was and is not any more.
    selectors: tuple[bool, ...] = ()


class Watched(NamedTuple):
    """The answer to watch; `endpoint` is empty where no PID went well, `missed` as in Summary.

    `epoch` and `replaced`: what the frames of this lease have there, or a later `replaced`.
    """

    endpoint: str
    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]
    missed: int = 0
    epoch: int = 0
    replaced: int = 0


class Held(NamedTuple):
    """A row of list. `added_by`: uid, None where only viewers hold it; `exited`: epoch seconds."""

    process: Process
    added_by: int | None
    viewers: int
    exited: float | None
    total: Totals


class Standing(NamedTuple):
    """A selector that was added; `added_by`: uid; the rest is as in Selector."""

    kind: str
    value: str | int | None
    level: int | None
    added_by: int
    follow: bool
    path: str | None = None

    @property
    def label(self) -> str:
        """As it would be given: `--name nginx`; of a cgroup without a path only its id is known."""
        shown = self.value if self.path is None else self.path
        value = "" if shown is None else f" {shown}"
        return f"--{self.kind}{value}" + " --follow" * self.follow


class Listing(NamedTuple):
    """The answer to list."""

    held: tuple[Held, ...]
    selectors: tuple[Standing, ...]


class Row(NamedTuple):
    """A connection's counters; family `other` stands for all connections without a row."""

    pid: int
    family: str | None
    proto: str | None
    local: str | None
    remote: str | None
    total: Totals


class Summary(NamedTuple):
    """Totals and connections; rows add up to `total`. `since` and `until` in epoch seconds.

    `missed`: operations that escaped the hooks, of all processes together, since netiod started
    or during a watch. Where `complete` is false and it is 0, nobody knows how many. `anew`:
    counters began anew during the watch; what passed before may be missing.
    """

    total: Totals
    rows: tuple[Row, ...]
    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]
    complete: bool
    since: float
    until: float
    missed: int = 0
    anew: bool = False


def hello(answer: Object) -> Hello:
    """The answer to hello."""
    return Hello(
        integer(answer, "protocol"),
        text(answer, "version"),
        integer(answer, "layout"),
        boolean(answer, "operator"),
    )


def changes(answer: Object) -> Changes:
    """The answer to add and remove."""
    told = answer.get("new", answer.get("removed"))
    changed = tuple(each is True for each in told) if isinstance(told, list) else ()
    return Changes(list_(answer, "processes", process), list_(answer, "errors", failure), changed)


def watched(answer: Object) -> Watched:
    """The answer to watch."""
    endpoint = answer.get("endpoint")
    processes = list_(answer, "processes", process)
    # Any other transport would let a stranger's daemon make us connect to where it likes.
    # There is none where no stream was asked for.
    if endpoint is not None and not (isinstance(endpoint, str) and endpoint.startswith("ipc://")):
        raise ProtocolError("netiod named no stream that can be read")
    return Watched(
        endpoint or "",
        processes,
        list_(answer, "errors", failure),
        _missed(answer),
        optional(answer, "epoch", integer) or 0,
        optional(answer, "replaced", integer) or 0,
    )


def published(answer: Object) -> dict[int, int]:
    """The answer to sync: PID to the index that its next event will have."""
    found = object_(answer.get("published"))
    return {int(pid): integer(found, pid) for pid in found if pid.isdecimal()}


def process(value: Any) -> Process:
    """A process object."""
    item = object_(value)
    return Process(
        integer(item, "pid"),
        integer(item, "start"),
        text(item, "comm"),
        integer(item, "uid"),
        number(item, "since"),
        text(item, "topic"),
        optional(item, "notice", text),
        item.get("fresh") is True,
        optional(item, "attached", integer),
        optional(item, "published", integer),
        optional(item, "lost", integer),
    )


def failure(value: Any) -> Failure:
    """An entry of `errors`."""
    item = object_(value)
    return Failure(integer(item, "pid"), integer(item, "code"), text(item, "message"))


def held(value: Any) -> Held:
    """A row of list."""
    item = object_(value)
    return Held(
        process(item),
        optional(item, "added_by", integer),
        integer(item, "viewers"),
        optional(item, "exited", number),
        totals(item.get("total")),
    )


def connection(value: Any) -> tuple[int, Connection]:
    """A row of describe: the id in events, and what it means."""
    item = object_(value)
    return integer(item, "id"), Connection(
        integer(item, "pid"),
        optional(item, "family", text),
        optional(item, "proto", text),
        optional(item, "local", text),
        optional(item, "remote", text),
    )


def standing(value: Any) -> Standing:
    """An entry of `selectors` in the answer to list."""
    item = object_(value)
    value = item.get("value")
    return Standing(
        text(item, "kind"),
        value if isinstance(value, (str, int)) else None,
        optional(item, "level", integer),
        integer(item, "added_by"),
        boolean(item, "follow"),
        optional(item, "path", text),
    )


def totals(value: Any) -> Totals:
    """Counters, wherever they stand."""
    item = object_(value)
    return Totals(*(integer(item, name) for name in Totals._fields))


def row(value: Any) -> Row:
    """A row of summary."""
    item = object_(value)
    return Row(
        integer(item, "pid"),
        optional(item, "family", text),
        optional(item, "proto", text),
        optional(item, "local", text),
        optional(item, "remote", text),
        totals(item),
    )


def summary(answer: Object, rows: Sequence[Any]) -> Summary:
    """The answer to summary with the rows that came before it."""
    # Where every PID failed, the daemon has no time since when.
    until = number(answer, "until")
    since = optional(answer, "since", number)
    return Summary(
        totals(answer.get("total")),
        tuple(row(item) for item in rows),
        list_(answer, "processes", process),
        list_(answer, "errors", failure),
        boolean(answer, "complete"),
        until if since is None else since,
        until,
        _missed(answer),
    )


def _missed(answer: Object) -> int:
    return optional(answer, "missed", integer) or 0
