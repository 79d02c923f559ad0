"""The measurements, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tests.bench.context import Context
from tests.bench.measurements import delivery, memory, speed, viewer, waiting
from tests.bench.plans import PLANS
from tests.bench.results import Result


class Measurement(NamedTuple):
    """`how` stands in docs/BENCHMARKS.md: what is done, so that the numbers can be read."""

    name: str
    what: str
    how: str
    take: Callable[[Context], list[Result]]


MEASUREMENTS = (
    Measurement("start", "from start to ready", waiting.START, waiting.start),
    Measurement("list", "time of `netioctl list`", waiting.LIST, waiting.list_),
    Measurement(
        "first-event", "first event of `netioctl watch`", waiting.FIRST, waiting.first_event
    ),
    *(Measurement(p.name, p.what, p.how, partial(speed.take, p)) for p in PLANS),
    Measurement("cpu", "CPU time of the daemon", delivery.CPU, delivery.cpu),
    Measurement("lost", "events lost at full speed", delivery.LOST, delivery.lost),
    Measurement("viewer", "lines a second of `netioctl watch`", viewer.HOW, viewer.take),
    Measurement("memory", "memory of the daemon", memory.HOW, memory.take),
)
