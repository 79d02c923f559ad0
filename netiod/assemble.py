"""One back-end on this kernel: its ways chosen, compiled, attached.

Part of the loader, which hands in what compiles. Whatever way fails is passed over, and the whole
is made anew with the next one: what is tried does not meet what was tried before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from netiod import attach, backends, hooks
from netiod.features import Features
from netiod.maps import MapError
from netiod.programs import Programs
from netiod.words import Words

#: Makes programs of C files of bpf/hooks, together with what every back-end needs.
Make = Callable[[tuple[str, ...]], Programs]
Log = Callable[[str], None]


class Unavailable(Exception):
    """A back-end that this kernel does not offer; the text says why."""


class _Refused(Exception):
    """A way that failed; `partial`: it can be had without some of its hooks."""

    def __init__(self, way: hooks.Way, why: str, partial: bool = False) -> None:
        super().__init__(why)
        self.way, self.partial = way, partial


@dataclass
class Assembled:
    """A back-end that is attached: descriptors by hook, what is missing and what that hides.

    `unseen` are texts; `uncounted` says of how many of them bytes are not counted.
    """

    backend: hooks.Backend
    programs: Programs
    links: dict[hooks.Hook, int] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    uncounted: int = 0

    def counts(self, hook: hooks.Hook) -> bool:
        """Whether bytes are not counted when this hook is not run."""
        return hook in backends.CHOOSING or (
            hook.uncounted
            and any(
                part.uncounted and any(hook in way.hooks for way in part.ways)
                for part in self.backend.parts
            )
        )

    def close(self) -> None:
        """Detach all."""
        for link in self.links.values():
            os.close(link)
        self.links.clear()
        self.programs.close()

    @property
    def has_kretprobes(self) -> bool:
        """Whether the kernel may run out of room for threads inside a function."""
        return any(hook.kind == hooks.KRETPROBE for hook in self.links)

    def lacks(self, what: str, why: str, cost: str, uncounted: bool) -> None:
        """Note that something is missing, with what that costs."""
        self.missing.append({"hook": what, "why": f"{why}; not seen: {cost}"})
        if cost not in self.unseen:
            self.unseen.append(cost)
            self.uncounted += uncounted


def assemble(
    backend: hooks.Backend,
    kernel: Features,
    make: Make,
    log: Log,
    words: Words,
    without: Container[str] = (),
) -> Assembled:
    """Attach `backend` by the best ways that this kernel has, `without` the parts of those names;
    what the compiler prints meanwhile goes to `words`.

    Raises:
        Unavailable: it cannot be had on this kernel.
    """
    refused: dict[int, str] = {}
    partial: set[int] = set()
    while True:
        ways = _choose(backend, kernel, refused, partial)
        ways = {name: way for name, way in ways.items() if name not in without}
        try:
            state = (refused, partial, without)
            return _attach(backend, ways, kernel, state, make, log, words)
        except _Refused as error:
            log(f"back-end {backend.name}: {error}")
            refused[id(error.way)] = str(error)
            if error.partial:
                partial.add(id(error.way))


def _choose(
    backend: hooks.Backend, kernel: Features, refused: dict[int, str], partial: set[int]
) -> dict[str, hooks.Way]:
    """The way to go for each part that has one, by the part's name."""
    ways: dict[str, hooks.Way] = {}
    for part in backend.parts:
        for way in part.ways:
            why = way.lacks(kernel)
            if why:
                refused.setdefault(id(way), why)
        # One whole if possible, else the best of those that lack something.
        left = [way for way in part.ways if id(way) not in refused]
        left += [way for way in part.ways if id(way) in partial]
        if left:
            ways[part.name] = left[0]
        elif not part.cost:
            raise Unavailable(_reasons(part, refused))
    return ways


def _reasons(part: hooks.Part, refused: dict[int, str]) -> str:
    return "; ".join(dict.fromkeys(refused[id(way)] for way in part.ways if id(way) in refused))


def _attach(
    backend: hooks.Backend,
    ways: dict[str, hooks.Way],
    kernel: Features,
    state: tuple[dict[int, str], set[int], Container[str]],
    make: Make,
    log: Log,
    words: Words,
) -> Assembled:
    refused, partial, without = state
    sources = tuple(dict.fromkeys(name for way in ways.values() for name in way.sources))
    with words.caught() as text:
        try:
            made = Assembled(backend, make(sources))
        except MapError as error:
            raise Unavailable(error.strerror) from error
        except Exception as error:
            why = _first_error(text()) or _short(error)
            raise Unavailable(f"does not compile: {why}") from error
    try:
        for part in backend.parts:
            if part.name in without:
                made.blind.append(part.cost)
                continue
            if part.name not in ways:
                made.lacks(part.name, _reasons(part, refused), part.cost, part.uncounted)
                continue
            way = ways[part.name]
            made.blind += way.blind
            _attach_way(made, way, kernel, id(way) in partial, log)
        for hook in backends.COMMON:
            _attach_hook(made, hook, kernel, log)
    except BaseException as error:
        made.close()
        if isinstance(error, _HookRefused):
            raise Unavailable(str(error)) from error
        raise
    log(f"back-end {backend.name}: {', '.join(hook.name for hook in made.links)}")
    return made


class _HookRefused(Exception):
    """A required hook that could not be attached."""


def _attach_way(
    made: Assembled,
    way: hooks.Way,
    kernel: Features,
    accept_partial: bool,
    log: Log,
) -> None:
    before = len(made.missing)
    try:
        for hook in way.hooks:
            _attach_hook(made, hook, kernel, log)
    except _HookRefused as error:
        raise _Refused(way, str(error)) from error
    missing = made.missing[before:]
    if not any(hook in made.links for hook in way.hooks if not hook.after):
        raise _Refused(way, "; ".join(dict.fromkeys(each["why"] for each in missing)))
    if missing and not accept_partial:
        names = ", ".join(dict.fromkeys(each["hook"] for each in missing))
        raise _Refused(way, f"{names}: {missing[0]['why'].split(';')[0]}", partial=True)


def _attach_hook(made: Assembled, hook: hooks.Hook, kernel: Features, log: Log) -> None:
    if hook.after and all(hook.after != other.program for other in made.links):
        return  # what it is of use to has been told to be missing
    why = ""
    if hook.kind in hooks.ON_FUNCTIONS and not kernel.types.has_function(hook.point):
        why = "this kernel has no such function"
    else:
        try:
            made.links[hook] = attach.attach(made.programs, hook, kernel.types)
        except OSError as error:
            why = error.strerror or str(error)
            if hook.required:
                raise _HookRefused(f"{hook.name}: {why}") from error
    if not why:
        log(f"hook {hook.name} attached")
        return
    log(f"hook {hook.name} not attached: {why}" + (f"; not seen: {hook.cost}" * bool(hook.cost)))
    if hook.cost:
        made.lacks(
            hook.name,
            why,
            hook.cost,
            hook.uncounted and hook not in backends.COMMON,
        )


def _short(error: Exception) -> str:
    """One line: BCC's own messages may quote the whole program."""
    return str(error).split("\n", 1)[0][:200]


def _first_error(text: str) -> str:
    return next((line for line in text.splitlines() if "error:" in line), "")
