"""The daemon's answers as types: checked once where they arrive. PROTOCOL.md section 1 has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, Union

from netioctl.wire.control import Object
from netioctl.wire.errors import ProtocolError

T = TypeVar("T")


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
    """

    pid: int
    start: int
    comm: str
    uid: int
    since: float
    topic: str
    notice: str | None
    fresh: bool


class Failure(NamedTuple):
    """A PID for which a request failed; `code` is one of errors.Code."""

    pid: int
    code: int
    message: str


class Changes(NamedTuple):
    """The answer to add and remove."""

    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]


class Watched(NamedTuple):
    """The answer to watch; `endpoint` is empty where no PID went well, `missed` as in Summary."""

    endpoint: str
    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]
    missed: int = 0


class Held(NamedTuple):
    """A row of list. `added_by`: uid, None where only viewers hold it; `exited`: epoch seconds."""

    process: Process
    added_by: int | None
    viewers: int
    exited: float | None
    total: Totals


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
    or during a watch. Where `complete` is false and it is 0, nobody knows how many.
    """

    total: Totals
    rows: tuple[Row, ...]
    processes: tuple[Process, ...]
    errors: tuple[Failure, ...]
    complete: bool
    since: float
    until: float
    missed: int = 0


class Exited(NamedTuple):
    """Notification: a watched process is gone; `published` is the index after its last event."""

    pid: int
    start: int
    time: float
    published: int


class Revoked(NamedTuple):
    """Notification: the daemon let a watched process go."""

    pid: int
    start: int
    reason: str


class Missed(NamedTuple):
    """Notification: so many operations, of all processes, escaped the hooks so far."""

    operations: int


Notification = Union[Exited, Revoked, Missed]


def hello(answer: Object) -> Hello:
    """The answer to hello."""
    return Hello(
        _int(answer, "protocol"),
        _text(answer, "version"),
        _int(answer, "layout"),
        _bool(answer, "operator"),
    )


def changes(answer: Object) -> Changes:
    """The answer to add and remove."""
    return Changes(_list(answer, "processes", process), _list(answer, "errors", failure))


def watched(answer: Object) -> Watched:
    """The answer to watch."""
    endpoint = answer.get("endpoint")
    processes = _list(answer, "processes", process)
    # Any other transport would let a stranger's daemon make us connect to where it likes.
    # There is none where no stream was asked for.
    if endpoint is not None and not (isinstance(endpoint, str) and endpoint.startswith("ipc://")):
        raise ProtocolError("netiod named no stream that can be read")
    return Watched(endpoint or "", processes, _list(answer, "errors", failure), _missed(answer))


def published(answer: Object) -> dict[int, int]:
    """The answer to sync: PID to the index that its next event will have."""
    found = _object(answer.get("published"))
    return {int(pid): _int(found, pid) for pid in found if pid.isdecimal()}


def process(value: Any) -> Process:
    """A process object."""
    item = _object(value)
    return Process(
        _int(item, "pid"),
        _int(item, "start"),
        _text(item, "comm"),
        _int(item, "uid"),
        _number(item, "since"),
        _text(item, "topic"),
        _optional(item, "notice", _text),
        item.get("fresh") is True,
    )


def failure(value: Any) -> Failure:
    """An entry of `errors`."""
    item = _object(value)
    return Failure(_int(item, "pid"), _int(item, "code"), _text(item, "message"))


def held(value: Any) -> Held:
    """A row of list."""
    item = _object(value)
    return Held(
        process(item),
        _optional(item, "added_by", _int),
        _int(item, "viewers"),
        _optional(item, "exited", _number),
        totals(item.get("total")),
    )


def totals(value: Any) -> Totals:
    """Counters, wherever they stand."""
    item = _object(value)
    return Totals(*(_int(item, name) for name in Totals._fields))


def row(value: Any) -> Row:
    """A row of summary."""
    item = _object(value)
    return Row(
        _int(item, "pid"),
        _optional(item, "family", _text),
        _optional(item, "proto", _text),
        _optional(item, "local", _text),
        _optional(item, "remote", _text),
        totals(item),
    )


def summary(answer: Object, rows: Sequence[Any]) -> Summary:
    """The answer to summary with the rows that came before it."""
    # Where every PID failed, the daemon has no time since when.
    until = _number(answer, "until")
    since = _optional(answer, "since", _number)
    return Summary(
        totals(answer.get("total")),
        tuple(row(item) for item in rows),
        _list(answer, "processes", process),
        _list(answer, "errors", failure),
        _bool(answer, "complete"),
        until if since is None else since,
        until,
        _missed(answer),
    )


def notification(message: Object) -> Notification | None:
    """What the daemon tells unasked; None for what this client does not know."""
    method, params = message.get("method"), message.get("params")
    if method == "exited":
        item = _object(params)
        return Exited(
            _int(item, "pid"),
            _int(item, "start"),
            _number(item, "time"),
            _int(item, "published"),
        )
    if method == "revoked":
        item = _object(params)
        return Revoked(_int(item, "pid"), _int(item, "start"), _text(item, "reason"))
    if method == "missed":
        return Missed(_int(_object(params), "operations"))
    return None


def _missed(answer: Object) -> int:
    return _optional(answer, "missed", _int) or 0


def _object(value: Any) -> Object:
    if not isinstance(value, dict):
        raise ProtocolError("netiod's answer is not understood: an object is missing")
    return value


def _int(item: Object, name: str) -> int:
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(name)


def _number(item: Object, name: str) -> float:
    value = item.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _wrong(name)


def _text(item: Object, name: str) -> str:
    value = item.get(name)
    if isinstance(value, str):
        return value
    raise _wrong(name)


def _bool(item: Object, name: str) -> bool:
    value = item.get(name)
    if isinstance(value, bool):
        return value
    raise _wrong(name)


def _optional(item: Object, name: str, read: Callable[[Object, str], T]) -> T | None:
    return None if item.get(name) is None else read(item, name)


def _list(item: Object, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    value = item.get(name)
    if not isinstance(value, list):
        raise _wrong(name)
    return tuple(read(each) for each in value)


def _wrong(name: str) -> ProtocolError:
    return ProtocolError(f"netiod's answer is not understood: {name} is missing or wrong")
