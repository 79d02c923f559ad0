"""What the daemon tells unasked, as types. PROTOCOL.md section 1 has it."""

from __future__ import annotations

from typing import NamedTuple, Union

from netioctl import answers
from netioctl.fields import integer, number, object_, optional, text
from netioctl.wire.control import Object


class Exited(NamedTuple):
    """Notification: a watched process is gone; `published` is the index after its last event.

    `lost`: its events that found no room in the kernel's ring.
    """

    pid: int
    start: int
    time: float
    published: int
    lost: int | None = None


class Revoked(NamedTuple):
    """Notification: the daemon let a watched process go."""

    pid: int
    start: int
    reason: str


class Missed(NamedTuple):
    """Notification: so many operations, of all processes, escaped the hooks so far."""

    operations: int


class Replaced(NamedTuple):
    """Notification: the stream was away for so many seconds; what comes after has `replaced`."""

    seconds: float
    replaced: int


class Ending(NamedTuple):
    """Notification: the daemon ends; what it had counted of a process by then."""

    pid: int
    start: int
    total: answers.Totals


class Chosen(NamedTuple):
    """Notification: a process is watched from now on.

    `parent`: the process whose child it is, where that is followed; None: a selector chose it.
    `before`: what had been counted of it by then.
    """

    process: answers.Process
    parent: int | None
    published: int
    lost: int
    before: answers.Totals = answers.Totals()


Notification = Union[Chosen, Exited, Revoked, Missed, Replaced, Ending]


def notification(message: Object) -> Notification | None:
    """What the daemon tells unasked; None for what this client does not know."""
    method, params = message.get("method"), message.get("params")
    if method == "exited":
        item = object_(params)
        return Exited(
            integer(item, "pid"),
            integer(item, "start"),
            number(item, "time"),
            integer(item, "published"),
            optional(item, "lost", integer),
        )
    if method == "began":
        item = object_(params)
        return Chosen(
            answers.process(item.get("process")),
            optional(item, "parent", integer),
            integer(item, "published"),
            integer(item, "lost"),
            answers.totals(item.get("before")),
        )
    if method == "revoked":
        item = object_(params)
        return Revoked(integer(item, "pid"), integer(item, "start"), text(item, "reason"))
    if method == "missed":
        return Missed(integer(object_(params), "operations"))
    if method == "interrupted":
        item = object_(params)
        return Replaced(number(item, "seconds"), integer(item, "replaced"))
    if method == "ending":
        item = object_(params)
        return Ending(
            integer(item, "pid"), integer(item, "start"), answers.totals(item.get("total"))
        )
    return None
