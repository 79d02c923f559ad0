"""What a back-end is made of: hooks, ways to do a part of its work, parts.

The back-ends themselves are rows in backends.py; how each kind of hook is attached: attach.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netiod.features import Features

RAW, CLASSIC = "raw tracepoint", "tracepoint"
KPROBE, KRETPROBE, FENTRY, FEXIT = "kprobe", "kretprobe", "fentry", "fexit"
CGROUP = "cgroup"
#: Kinds whose point is a function of the kernel.
ON_FUNCTIONS = frozenset((KPROBE, KRETPROBE, FENTRY, FEXIT))


@dataclass(frozen=True)
class Hook:
    """A program and where it goes: `program` is the C function, `point` a tracepoint, a function
    of the kernel or an attach type of cgroups.

    Without a `required` hook its way is not used; `cost` says what is not seen without another,
    and `uncounted` whether that is bytes, not only whose they were. `after` names a program
    without which this one is of no use. A hook that is `on_demand` costs every process of the
    host, so it is attached only while something is held.
    """

    kind: str
    point: str
    program: str
    required: bool = True
    cost: str = ""
    uncounted: bool = True
    after: str = ""
    on_demand: bool = False

    @property
    def name(self) -> str:
        """How people see it."""
        return self.point if self.kind in (RAW, CLASSIC) else f"{self.kind} {self.point}"


@dataclass(frozen=True)
class Way:
    """C files below bpf/hooks, in this order, and their hooks.

    `lacks` says why this kernel cannot have it, as far as that can be told without trying;
    `blind` is what this way cannot see.
    """

    sources: tuple[str, ...]
    hooks: tuple[Hook, ...]
    lacks: Callable[[Features], str] = lambda _: ""
    blind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A piece of a back-end's work, and the ways to do it, best first.

    `cost` says what is not seen where no way can be had, `uncounted` whether that is bytes; an
    empty one: then there is no such back-end.
    """

    name: str
    ways: tuple[Way, ...]
    cost: str = ""
    uncounted: bool = True


@dataclass(frozen=True)
class Backend:
    """A way to see socket operations. `blind`: what it cannot see on any kernel, for `status`;
    `tells_errors`: whether it also tells of those that failed."""

    name: str
    parts: tuple[Part, ...]
    blind: tuple[str, ...] = ()
    tells_errors: bool = False

    def every_blind(self) -> Iterator[str]:
        """All that it may be blind to, on one kernel or another."""
        yield from self.blind
        for part in self.parts:
            if part.cost:
                yield part.cost
            for way in part.ways:
                yield from way.blind
