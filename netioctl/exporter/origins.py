"""Selectors that others added, and which processes they want. The daemon does not say which one
chose a process: its name, user and cgroup do."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from netioctl import cgroups, procfs, targets
from netioctl.answers import Held, Standing
from netioctl.render.words import printable
from netioctl.targets import Selector
from netioctl.wire.errors import UsageError

#: No selector wants it.
NONE: Mapping[str, float] = {}


class Choice(NamedTuple):
    """Selectors by their labels (`name=nginx`), and which of them want a row of `list`, and since
    when that is known (monotonic seconds)."""

    labels: tuple[str, ...] = ()
    of: Callable[[Held], Mapping[str, float]] = lambda _row: NONE


def label_of(selector: Selector) -> str:
    """Of a selector of the command line: `name=nginx`, `unit=ssh`, `all`."""
    if selector.kind == "user":
        # Under one name, whether it was given so or as a number.
        return printable(f"user={targets.user(int(selector.value or 0))}")
    return printable(selector.label[2:].replace(" ", "=", 1))


class _Selectors:
    """Those of one user, by what they go by."""

    def __init__(self, standing: Iterable[Standing]) -> None:
        self.labels: set[str] = set()
        self._by: dict[tuple[str, str | int | None], str] = {}
        for each in standing:
            kind, value = each.kind, each.value
            if kind == "cgroup" and each.path is not None:
                value = each.path
            elif kind == "cgroup" and isinstance(value, int):
                value = _path(value)
            name = targets.user(value) if isinstance(value, int) else value
            label = printable(kind if name is None else f"{kind}={name}")
            self._by[kind, value] = label
            self.labels.add(label)
        self._kinds = {kind for kind, _ in self._by}

    def wanting(self, row: Held) -> Iterator[str]:
        """Labels of those that want a process; of one that has exited /proc says nothing."""
        pid, living = row.process.pid, row.exited is None
        keys: list[tuple[str, str | int | None]] = [("all", None), ("name", row.process.comm)]
        if "user" in self._kinds:
            uids = procfs.uids(pid) if living else None
            keys.append(("user", row.process.uid if uids is None else uids[1]))
        if "cgroup" in self._kinds and living:
            keys += [("cgroup", path) for path in _above(cgroups.of_process(pid) or "")]
        return (self._by[key] for key in keys if key in self._by)


def added(standing: Iterable[Standing]) -> Choice:
    """Those that were added, as `list` tells them."""
    by_adder: dict[int, list[Standing]] = {}
    for each in standing:
        by_adder.setdefault(each.added_by, []).append(each)
    found = {adder: _Selectors(theirs) for adder, theirs in by_adder.items()}

    now = time.monotonic()

    def of(row: Held) -> Mapping[str, float]:
        # Others than root choose their own alone, unless they are operators: then they hold it.
        may = {0, row.process.uid, row.added_by}
        return {
            label: now
            for adder, theirs in found.items()
            if adder in may
            for label in theirs.wanting(row)
        }

    return Choice(tuple(sorted(set().union(*(each.labels for each in found.values())))), of)


@functools.lru_cache(maxsize=4096)
def _path(ident: int) -> str:
    """Of a cgroup, once and for all: one that is gone keeps it; its number where it has none."""
    try:
        found = cgroups.by_id(ident)
    except UsageError:
        found = None
    return str(ident) if found is None else found.path


def _above(path: str) -> list[str]:
    """A cgroup's path, and those of the cgroups that it is within."""
    parts = path.removesuffix(" (deleted)").strip("/").split("/")
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
