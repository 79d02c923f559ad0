"""Which ways a back-end goes, when a kernel refuses some. Compiler and kernel are played."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from netiod import assemble, attach, backends
from netiod.assemble import Assembled, Unavailable
from netiod.features import Features
from netiod.hooks import CGROUP, FENTRY, FEXIT, RAW, Backend, Hook, Part, Way
from netiod.maps import MapError
from netiod.programs import ProgramRefused
from netiod.words import Words


class _Programs:
    """A compilation: `sources` are what it was made of."""

    made: ClassVar[list[_Programs]] = []

    def __init__(self, sources: tuple[str, ...]) -> None:
        self.sources, self.closed = sources, False
        self.made.append(self)

    def close(self) -> None:
        self.closed = True


class _Kernel:
    """Attaches all but the points in `refuses`; has all functions but those in `lacks`."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.lacks: set[str] = set()
        self.attached: list[str] = []
        types = SimpleNamespace(has_function=lambda name: name not in self.lacks)
        self.features = Features(types)  # type: ignore[arg-type]

    def attach(self, _programs: Any, hook: Hook, _types: Any) -> int:
        if hook.point in self.refuses:
            raise ProgramRefused(errno.EACCES, f"{hook.point} is refused")
        self.attached.append(hook.name)
        return os.open("/dev/null", os.O_RDONLY)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> _Kernel:
    played = _Kernel()
    monkeypatch.setattr(attach, "attach", played.attach)
    monkeypatch.setattr(backends, "COMMON", ())
    _Programs.made.clear()
    return played


def run(backend: Backend, kernel: _Kernel, without: tuple[str, ...] = ()) -> Assembled:
    make: Any = _Programs
    return assemble.assemble(backend, kernel.features, make, lambda _: None, Words(), without)


def sources(made: Assembled) -> tuple[str, ...]:
    played: Any = made.programs
    return tuple(played.sources)


def one(point: str, kind: str = RAW, **more: Any) -> Hook:
    return Hook(kind, point, f"program_{point}", **more)


FIRST = Way(("first.c",), (one("a"),))
SECOND = Way(("second.c",), (one("b"),), blind=("half",))


def test_the_first_way_is_taken(kernel: _Kernel) -> None:
    made = run(Backend("x", (Part("p", (FIRST, SECOND)),)), kernel)
    assert sources(made) == ("first.c",)
    assert (made.blind, made.missing) == ([], [])


def test_a_way_that_is_refused_gives_way_to_the_next(kernel: _Kernel) -> None:
    kernel.refuses = {"a"}
    made = run(Backend("x", (Part("p", (FIRST, SECOND)),)), kernel)
    assert sources(made) == ("second.c",)
    assert made.blind == ["half"]
    assert [each.closed for each in _Programs.made] == [True, False]


def test_a_way_that_the_kernel_lacks_is_not_tried(kernel: _Kernel) -> None:
    lacking = Way(("first.c",), (one("a"),), lambda _: "there is none")
    made = run(Backend("x", (Part("p", (lacking, SECOND)),)), kernel)
    assert len(_Programs.made) == 1
    assert sources(made) == ("second.c",)


def test_without_any_way_the_reasons_are_told(kernel: _Kernel) -> None:
    kernel.refuses = {"a", "b"}
    with pytest.raises(Unavailable) as caught:
        run(Backend("x", (Part("p", (FIRST, SECOND)),)), kernel)
    assert str(caught.value) == "a: a is refused; b: b is refused"
    assert all(each.closed for each in _Programs.made)


def test_a_part_that_one_can_do_without_is_told_with_its_cost(kernel: _Kernel) -> None:
    kernel.refuses = {"b"}
    optional = Part("extra", (SECOND,), "the rest", uncounted=False)
    made = run(Backend("x", (optional, Part("p", (FIRST,)))), kernel)
    assert made.missing == [{"hook": "extra", "why": "b: b is refused; not seen: the rest"}]
    assert (made.unseen, made.uncounted) == (["the rest"], 0)


def test_a_part_may_be_left_out_on_purpose(kernel: _Kernel) -> None:
    made = run(
        Backend("x", (Part("extra", (SECOND,), "the rest"), Part("p", (FIRST,)))),
        kernel,
        ("extra",),
    )
    assert sources(made) == ("first.c",)
    assert (made.blind, made.missing, made.uncounted) == (["the rest"], [], 0)


def functions(*names: str) -> Way:
    pairs = [
        (
            one(name, FEXIT, required=False, cost=f"what {name} does"),
            Hook(
                FENTRY, name, f"entry_{name}", False, f"what {name} does", after=f"program_{name}"
            ),
        )
        for name in names
    ]
    return Way(("functions.c",), tuple(hook for pair in pairs for hook in pair))


def test_a_function_that_was_renamed_is_named_with_what_it_costs(kernel: _Kernel) -> None:
    kernel.lacks = {"renamed"}
    made = run(Backend("x", (Part("p", (functions("stays", "renamed"),)),)), kernel)
    why = "this kernel has no such function; not seen: what renamed does"
    assert made.missing == [{"hook": "fexit renamed", "why": why}]
    assert made.uncounted == 1
    # Its entry, which would note what nothing takes away, is not attached either.
    assert kernel.attached[-2:] == ["fexit stays", "fentry stays"]


def test_a_way_that_lacks_a_function_gives_way_to_one_that_lacks_none(kernel: _Kernel) -> None:
    kernel.lacks = {"renamed"}
    made = run(Backend("x", (Part("p", (functions("stays", "renamed"), SECOND)),)), kernel)
    assert sources(made) == ("second.c",)


def test_of_ways_that_all_lack_something_the_best_is_taken(kernel: _Kernel) -> None:
    kernel.lacks, kernel.refuses = {"renamed"}, {"b"}
    made = run(Backend("x", (Part("p", (functions("stays", "renamed"), SECOND)),)), kernel)
    assert sources(made) == ("functions.c",)
    assert [each["hook"] for each in made.missing] == ["fexit renamed"]


def test_a_way_whose_functions_are_all_gone_is_none(kernel: _Kernel) -> None:
    kernel.lacks = {"stays", "renamed"}
    with pytest.raises(Unavailable, match="this kernel has no such function"):
        run(Backend("x", (Part("p", (functions("stays", "renamed"),)),)), kernel)


def test_what_does_not_compile_is_not_tried_again(kernel: _Kernel) -> None:
    def broken(_: tuple[str, ...]) -> Any:
        os.write(2, b"main.c:3:1: error: expected expression\nmore\n")
        raise OSError("Failed to compile BPF module")

    with pytest.raises(Unavailable, match=r"does not compile: main.c:3:1: error: expected"):
        assemble.assemble(
            Backend("x", (Part("p", (FIRST, SECOND)),)),
            kernel.features,
            broken,
            lambda _: None,
            Words(),
        )


def test_all_that_was_attached_is_detached(kernel: _Kernel) -> None:
    hooks = (one("c", CGROUP), one("r"))
    made = run(Backend("x", (Part("p", (Way(("c.c",), hooks),)),)), kernel)
    links = list(made.links.values())
    made.close()
    assert len(links) == 2
    for link in links:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(link)


def test_a_map_that_the_kernel_refuses_is_named(kernel: _Kernel) -> None:
    def full(_: tuple[str, ...]) -> Any:
        raise MapError(errno.ENOMEM, "map conns: Cannot allocate memory")

    with pytest.raises(Unavailable, match=r"^map conns: Cannot allocate memory$"):
        assemble.assemble(
            Backend("x", (Part("p", (FIRST,)),)), kernel.features, full, lambda _: None, Words()
        )


def test_only_hooks_that_count_tell_of_bytes_that_were_missed(kernel: _Kernel) -> None:
    tells = Way(("t.c",), (one("peer"),))
    backend = Backend("x", (Part("peers", (tells,), "peers", uncounted=False), Part("p", (FIRST,))))
    made = run(backend, kernel)
    assert [hook.point for hook in made.links if made.counts(hook)] == ["a"]
    # A child that was not seen to be made is counted nowhere.
    assert all(made.counts(hook) for hook in backends.CHOOSING)
