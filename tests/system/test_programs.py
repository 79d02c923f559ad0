"""Maps and programs, by bpf(2): what the kernel refuses is said in its own words."""

from __future__ import annotations

import os
import struct

import pytest

from netiod.compiled import Compiled, MapShape
from netiod.maps import Map, MapError
from netiod.programs import ProgramRefused, Programs

_RAW_TRACEPOINT = 17
_ARRAY = 2
_EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)
_R0 = struct.pack("<BBhi", 0xB7, 0, 0, 0)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_a_map_has_the_shape_that_was_asked_for() -> None:
    made = Programs(Compiled({}, (MapShape("numbers", _ARRAY, 4, 8, 3, 0),)))
    try:
        numbers = Map(made.map("numbers"), 4, 8)
        assert numbers.put(struct.pack("=I", 2), b"12345678")
        assert numbers.get(struct.pack("=I", 2)) == b"12345678"
        with pytest.raises(MapError):
            numbers.put(struct.pack("=I", 3), b"12345678")
    finally:
        made.close()


def test_a_map_that_is_refused_is_named_and_none_is_left() -> None:
    before = descriptors()
    shapes = (MapShape("good", _ARRAY, 4, 8, 3, 0), MapShape("bad", _ARRAY, 3, 8, 3, 0))
    with pytest.raises(MapError, match="map bad: Invalid argument"):
        Programs(Compiled({}, shapes))
    assert descriptors() == before


def test_a_program_is_loaded_once() -> None:
    before = descriptors()
    made = Programs(Compiled({"one": _R0 + _EXIT}, ()))
    first = made.load("one", _RAW_TRACEPOINT, "one")
    assert made.load("one", _RAW_TRACEPOINT, "one") == first == made.program("one")
    made.close()
    assert descriptors() == before


def test_the_verifiers_last_word_is_why() -> None:
    made = Programs(Compiled({"one": _EXIT}, ()))
    with pytest.raises(ProgramRefused, match="R0 !read_ok"):
        made.load("one", _RAW_TRACEPOINT, "one")
    made.close()


def test_where_the_verifier_says_nothing_the_error_is_why() -> None:
    made = Programs(Compiled({"one": _R0 + _EXIT}, ()))
    with pytest.raises(ProgramRefused, match="Invalid argument"):
        made.load("one", 9999, "one")
    made.close()
