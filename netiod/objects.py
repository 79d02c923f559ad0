"""Processes as PROTOCOL.md has them, in answers and notifications."""

from __future__ import annotations

from netiod.holding import Holding
from netiod.holdings import COUNTERS
from netiod.requests import Object
from netiod.selection import Origin


def began(holding: Holding, origin: Origin) -> Object:
    """The notification of a process that was chosen."""
    return {
        "process": process(holding, fresh=origin.fresh),
        "parent": origin.parent or None,
        "before": {name: (origin.before or {}).get(name, 0) for name in COUNTERS},
        "published": holding.published,
        "lost": holding.lost,
    }


def exited(holding: Holding) -> Object:
    """The notification of a process that has exited."""
    return {
        "pid": holding.pid,
        "start": holding.start,
        "time": holding.exited,
        "published": holding.published,
        "lost": holding.lost,
    }


def process(holding: Holding, *, fresh: bool = False, notice: str | None = None) -> Object:
    """A process as PROTOCOL.md has it."""
    return {
        "pid": holding.pid,
        "start": holding.start,
        "comm": holding.comm,
        "uid": holding.uid,
        "since": holding.since,
        "attached": holding.attached // 1000,
        "topic": holding.topic.decode(),
        "fresh": fresh,
        "notice": notice,
    }
