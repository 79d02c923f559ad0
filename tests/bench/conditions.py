"""netio in its ways of watching: one row a condition. Other tools are in rivals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.bench.context import Context
from tests.bench.daemon import Daemon
from tests.bench.watcher import Condition, Seen, Watcher

_Apply = Callable[[Context, int], AbstractContextManager[Watcher]]


def _watched(*options: str) -> _Apply:
    return lambda context, pid: _viewed(context, pid, options)


@contextlib.contextmanager
def _viewed(context: Context, pid: int, options: tuple[str, ...]) -> Iterator[Watcher]:
    with context.daemon(*options) as daemon, daemon.viewer("--json", pid):
        yield _watcher(daemon)


def _light(*options: str) -> _Apply:
    return lambda context, pid: _watched_lightly(context, pid, options)


@contextlib.contextmanager
def _watched_lightly(context: Context, pid: int, options: tuple[str, ...]) -> Iterator[Watcher]:
    with context.daemon(*options) as daemon, daemon.light_viewers(pid, 1):
        yield _watcher(daemon)


def _added(*options: str) -> _Apply:
    return lambda context, pid: _only_added(context, pid, options)


@contextlib.contextmanager
def _only_added(context: Context, pid: int, options: tuple[str, ...]) -> Iterator[Watcher]:
    with context.daemon(*options) as daemon:
        daemon.add(pid)
        yield _watcher(daemon)


def _unwatched(*options: str) -> _Apply:
    return lambda context, _pid: _another_watched(context, options)


@contextlib.contextmanager
def _another_watched(context: Context, options: tuple[str, ...]) -> Iterator[Watcher]:
    # The other process is idle: what it would cost by being busy is not netio's.
    with (
        context.daemon(*options) as daemon,
        context.udp_pairs() as other,
        daemon.light_viewers(other.pid, 1),
    ):
        yield _watcher(daemon)


def _passed_by(*options: str) -> _Apply:
    return lambda context, _pid: _others_chosen(context, options)


@contextlib.contextmanager
def _others_chosen(context: Context, options: tuple[str, ...]) -> Iterator[Watcher]:
    with context.daemon(*options) as daemon:
        daemon.choose("netio-no-such")
        yield _watcher(daemon)


def _watcher(daemon: Daemon) -> Watcher:
    """The daemon's processes; its viewers' CPU time is not in it."""

    def seen() -> Seen:
        status = daemon.status()
        return Seen(status["events"], status["lost"]["kernel"], status["lost"]["daemon"])

    return Watcher(tuple(daemon.pids()), seen)


_VIEWER = "watched by `netioctl watch --json`"
_COUNTER = "watched by a viewer that only counts"
_ADDED = "added, not watched (counters only)"
_ANOTHER = "not watched, while another process is"
_OTHERS = "not chosen, while a selector chooses others"

CONDITIONS = (
    Condition("watched", _VIEWER, _watched()),
    Condition("watched-no-splice", f"{_VIEWER}, with --no-splice", _watched("--no-splice")),
    Condition("watched-light", _COUNTER, _light()),
    Condition("watched-light-no-splice", f"{_COUNTER}, with --no-splice", _light("--no-splice")),
    Condition("added", _ADDED, _added()),
    Condition("added-no-splice", f"{_ADDED}, with --no-splice", _added("--no-splice")),
    Condition("unwatched", _ANOTHER, _unwatched()),
    Condition("unwatched-no-splice", f"{_ANOTHER}, with --no-splice", _unwatched("--no-splice")),
    Condition("passed-by-no-splice", f"{_OTHERS}, with --no-splice", _passed_by("--no-splice")),
    Condition(
        "unwatched-syscall",
        f"{_ANOTHER}, with --backend syscall",
        _unwatched("--backend", "syscall"),
    ),
)
