"""What the kernel says of operations that the hooks were not run for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netiod import missed
from netiod.maps import MapError
from netiod.missed import Missed

PROFILE = """\
  r___sys_recvfrom_netio_42                                      300             284
  r_sock_recvmsg_netio_42                                        300             284
  r_sock_sendmsg_netio_42                                          7               1
  r_sock_splice_read_netio_42                                      7               2
  p_anything_netio_42                                              7              99
"""


class _Info:
    def __init__(self, fd: int) -> None:
        if fd > 100:
            raise MapError(9, "gone")
        self.misses = fd


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "ProgramInfo", _Info)


def test_programs_that_count_are_summed_up() -> None:
    assert Missed({"a": 5, "b": 7, "tells of exits": 9}, ["a", "b"], None).operations() == 12


def test_a_program_that_cannot_be_asked_ends_the_sum() -> None:
    assert Missed({"a": 5, "b": 999, "c": 7}, ["a", "b", "c"], None).operations() == 5


def test_returns_that_found_no_room_count_once_for_an_operation(tmp_path: Path) -> None:
    path = tmp_path / "kprobe_profile"
    path.write_text(PROFILE)
    profile = os.open(path, os.O_RDONLY)
    # Functions that run inside others are left out: those others count.
    assert Missed({}, [], profile).operations() == 286
    assert Missed({"a": 4}, ["a"], profile).operations() == 290
    os.close(profile)


def test_a_profile_that_cannot_be_read_tells_nothing() -> None:
    write_only = os.open(os.devnull, os.O_WRONLY)
    assert Missed({"a": 1}, ["a"], write_only).operations() == 1
    os.close(write_only)
