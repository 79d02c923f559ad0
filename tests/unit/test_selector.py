"""Selectors as they come in requests, and which processes they want."""

from __future__ import annotations

from typing import Any

import pytest

from netioctl.wire import layout
from netioctl.wire.errors import Code, RequestError
from netiod.policy import Caller
from netiod.processes import Process
from netiod.selector import ANYONE, KINDS, Facts, as_object, padded, parse

ALICE, ROOT = Caller(1, 1000, False), Caller(2, 0, True)
LEVELS = 12


def facts(comm: str = "nginx", uids: tuple[int, ...] = (1000,) * 4, *cgroups: int) -> Facts:
    process = Process(5, 6, comm, (uids[0], uids[1], uids[2], uids[3]))
    return Facts(process, padded(comm), 7, 0, frozenset(cgroups))


def test_the_numbers_are_those_of_the_kernel_side() -> None:
    constants = layout.load().constants
    assert [constants[f"NETIO_SELECT_{kind.upper()}"] for kind in KINDS] == [0, 1, 2, 3]
    assert constants["NETIO_ANYONE"] == ANYONE


@pytest.mark.parametrize(
    ("item", "wanted", "not_wanted"),
    [
        ({"kind": "name", "value": "nginx"}, facts(), facts("nginx2")),
        ({"kind": "user", "value": 1000}, facts(), facts("nginx", (0, 0, 0, 0))),
        ({"kind": "cgroup", "value": 77, "level": 2}, facts("x", (0,) * 4, 77), facts()),
    ],
)
def test_what_an_operator_wants(item: dict[str, Any], wanted: Facts, not_wanted: Facts) -> None:
    (selector,) = parse(ROOT, [item, item], LEVELS)
    assert selector.wants(wanted)
    assert not selector.wants(not_wanted)
    assert as_object(selector) == {"level": None, **item}


@pytest.mark.parametrize("value", [None, 77])
def test_a_path_is_wanted_whatever_cgroup_is_there(value: int | None) -> None:
    item = {"kind": "cgroup", "value": value, "level": 2, "path": "/a/b.service"}
    found = parse(ROOT, [item, {**item, "level": None}], LEVELS)
    ((selector, ident),) = found.items()
    assert ident == (value or 0)
    assert selector.wants(facts("x", (0,) * 4, 5, 6), {6, 7})
    assert not selector.wants(facts("x", (0,) * 4, 5), {6, 7})
    assert as_object(selector, value) == item
    (own,) = parse(ALICE, [item], LEVELS)
    assert own != selector
    assert not own.wants(facts("x", (0,) * 4, 6), {6})


def test_paths_are_any_bytes() -> None:
    item = {"kind": "cgroup", "value": None, "level": 1, "path": "/\udcff" + "x" * 252}
    (selector,) = parse(ROOT, [item], LEVELS)
    assert selector.path == b"/\xff" + b"x" * 252
    assert as_object(selector) == item


def test_others_want_none_but_their_own() -> None:
    (selector,) = parse(ALICE, [{"kind": "name", "value": "nginx"}], LEVELS)
    assert selector.wants(facts())
    for at in range(4):
        uids = tuple(0 if n == at else 1000 for n in range(4))
        assert not selector.wants(facts("nginx", uids))


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ("nginx", Code.INVALID_PARAMS),
        ([{"kind": "name", "value": "x"}] * 65, Code.INVALID_PARAMS),
        (["name"], Code.INVALID_PARAMS),
        ([{"kind": "shoe", "value": 1}], Code.INVALID_PARAMS),
        ([{"kind": "name", "value": ""}], Code.INVALID_PARAMS),
        ([{"kind": "name", "value": "a" * 16}], Code.INVALID_PARAMS),
        ([{"kind": "name", "value": "a\0b"}], Code.INVALID_PARAMS),
        ([{"kind": "name", "value": 5}], Code.INVALID_PARAMS),
        ([{"kind": "user", "value": True}], Code.INVALID_PARAMS),
        ([{"kind": "user", "value": -1}], Code.INVALID_PARAMS),
        ([{"kind": "user", "value": ANYONE}], Code.INVALID_PARAMS),
        ([{"kind": "user", "value": 0}], Code.NO_SUCH_PROCESS),
        ([{"kind": "all"}], Code.NO_SUCH_PROCESS),
        ([{"kind": "cgroup", "value": 1 << 64, "level": 1}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "value": 5}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "value": 5, "level": 13}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "value": 5, "level": 0}], Code.INVALID_PARAMS),
        ([{"kind": "name", "value": "\ud800"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "\ud800"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": 5}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": ""}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "a"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "a/b"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a/"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a//b"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a/../b"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a\0"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/" + "a" * 254}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a" * 13}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a/b", "level": 1}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a", "value": -1}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a", "value": "5"}], Code.INVALID_PARAMS),
        ([{"kind": "cgroup", "path": "/a", "value": 1 << 64}], Code.INVALID_PARAMS),
        ([{"kind": "user", "value": 0, "path": "/a"}], Code.NO_SUCH_PROCESS),
    ],
)
def test_what_is_refused(items: Any, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        parse(ALICE, items, LEVELS)
    assert caught.value.code is code
