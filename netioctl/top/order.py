"""Which rows are shown, and in which order: pure functions of what the model has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from netioctl.top.columns import Column, Entry
from netioctl.top.model import Connection, Member

E = TypeVar("E", Member, Connection)


class Shown(NamedTuple):
    """A row: the entry, and for each of its ancestors in the tree whether more siblings follow.

    Empty for a root, and where there is no tree.
    """

    entry: Entry
    branch: tuple[bool, ...] = ()


def matches(entry: Entry, words: Sequence[str]) -> bool:
    """Whether each of the words (lower case) is part of one that belongs to the entry."""
    process = entry.process
    known = f"{process.pid} {process.comm} {process.user}"
    if isinstance(entry, Connection):
        known += f" {entry.family} {entry.proto} {entry.local} {entry.remote}"
    known = known.lower()
    return all(word in known for word in words)


def chosen(entries: Iterable[E], text: str, *, active: bool) -> list[E]:
    """Those that match what was typed; with `active` only those that moved anything lately."""
    words = text.lower().split()
    return [
        entry
        for entry in entries
        if not (active and entry.meter.idle) and (not words or matches(entry, words))
    ]


def ordered(entries: list[E], column: Column, *, reverse: bool) -> list[E]:
    """Sorted by a column the way it begins, or the other; equal ones by their total, then PID."""
    entries.sort(key=lambda e: e.pid)
    entries.sort(key=lambda e: -(e.meter.total.sent_bytes + e.meter.total.recv_bytes))
    # A sort keeps the order of equal ones, and does so backwards too.
    entries.sort(key=column.key, reverse=column.ascending == reverse)
    return entries


def tree(members: Sequence[Member], parent: Callable[[Member], int | None]) -> list[Shown]:
    """Processes below those that they are the children of, siblings in the order given."""
    by_pid = {member.pid: member for member in members}
    children: dict[int, list[Member]] = {}
    roots = []
    for member in members:
        above = parent(member)
        if above is None or above == member.pid or above not in by_pid:
            roots.append(member)
        else:
            children.setdefault(above, []).append(member)
    result: list[Shown] = []
    seen = set()
    # PIDs that were used again may make a circle: what nobody led to is a root as well.
    for start in (*roots, *members):
        # No recursion: a chain of processes may be longer than Python's stack.
        waiting: list[tuple[Member, tuple[bool, ...]]] = [(start, ())]
        while waiting:
            member, branch = waiting.pop()
            if member in seen:
                continue
            seen.add(member)
            result.append(Shown(member, branch))
            below = children.get(member.pid, [])
            for at in range(len(below) - 1, -1, -1):
                waiting.append((below[at], (*branch, at < len(below) - 1)))
    return result
