"""What a workload's process is subjected to while its speed is taken.

One row a condition. Other tools that watch sockets belong here too: a context manager that has
them running, and watching, when it is entered.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from tests.bench.context import Context
from tests.bench.daemon import Losses
from tests.bench.results import Goal, at_least

#: What a condition yields tells, when called, the events lost since it began.
Lost = Callable[[], Losses]


class Condition(NamedTuple):
    """`apply` is given the workload's PID."""

    name: str
    what: str
    goal: Goal | None
    apply: Callable[[Context, int], AbstractContextManager[Lost]]


def _watched(*options: str) -> Callable[[Context, int], AbstractContextManager[Lost]]:
    return lambda context, pid: _viewed(context, pid, options)


@contextlib.contextmanager
def _viewed(context: Context, pid: int, options: tuple[str, ...]) -> Iterator[Lost]:
    with context.daemon(*options) as daemon, daemon.viewer("--json", pid):
        yield daemon.losses


@contextlib.contextmanager
def _watched_lightly(context: Context, pid: int) -> Iterator[Lost]:
    with context.daemon() as daemon, daemon.light_viewers(pid, 1):
        yield daemon.losses


@contextlib.contextmanager
def _added(context: Context, pid: int) -> Iterator[Lost]:
    with context.daemon() as daemon:
        daemon.add(pid)
        yield daemon.losses


def _unwatched(*options: str) -> Callable[[Context, int], AbstractContextManager[Lost]]:
    return lambda context, _pid: _another_watched(context, options)


@contextlib.contextmanager
def _another_watched(context: Context, options: tuple[str, ...]) -> Iterator[Lost]:
    # The other process is idle: what it would cost by being busy is not netio's.
    with (
        context.daemon(*options) as daemon,
        context.udp_pairs() as other,
        daemon.light_viewers(other.pid, 1),
    ):
        yield daemon.losses


CONDITIONS = (
    Condition("watched", "watched by `netioctl watch --json`", at_least(0.75), _watched()),
    Condition(
        "watched-no-splice",
        "watched by `netioctl watch --json`, with --no-splice",
        None,
        _watched("--no-splice"),
    ),
    Condition("watched-light", "watched by a viewer that only counts", None, _watched_lightly),
    Condition("added", "added, not watched (counters only)", None, _added),
    Condition("unwatched", "not watched, while another process is", None, _unwatched()),
    Condition(
        "unwatched-no-splice",
        "not watched, while another process is, with --no-splice",
        None,
        _unwatched("--no-splice"),
    ),
    Condition(
        "unwatched-syscall",
        "not watched, while another process is, with --backend syscall",
        None,
        _unwatched("--backend", "syscall"),
    ),
)
