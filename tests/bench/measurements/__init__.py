"""The measurements, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tests.bench.context import Context
from tests.bench.measurements import (
    delivery,
    growth,
    idle,
    latency,
    memory,
    slow_terminal,
    speed,
    viewer,
    waiting,
)
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
    Measurement("latency", "from system call to screen", latency.HOW, latency.take),
    *(Measurement(p.name, p.what, p.how, partial(speed.take, p)) for p in PLANS),
    Measurement("cpu", "CPU time of the daemon", delivery.CPU, delivery.cpu),
    Measurement(
        "further-viewer", "what each further viewer costs", delivery.FURTHER, delivery.further
    ),
    Measurement("lost", "events lost at full speed", delivery.LOST, delivery.lost),
    Measurement("idle", "CPU time of the daemon at rest", idle.HOW, idle.take),
    Measurement(
        "growth", "what an event costs with many processes or connections", growth.HOW, growth.take
    ),
    Measurement("viewer", "lines a second and memory of `netioctl watch`", viewer.HOW, viewer.take),
    Measurement(
        "slow-terminal",
        "age of the screen on a slow terminal",
        slow_terminal.HOW,
        slow_terminal.take,
    ),
    Measurement("memory", "memory of the daemon", memory.HOW, memory.take),
)
