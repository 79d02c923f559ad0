"""Mounts that netiod makes for itself, where a service manager has taken some away."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from netiod import mounts
from tests.unit.test_privileges import in_child

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_BIND, _REMOUNT, _RDONLY, _REC, _PRIVATE = 1 << 12, 1 << 5, 1, 1 << 14, 1 << 18


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [word.encode() if word else None for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), None):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {target}: {os.strerror(code)}")


def _protect(places: list[str]) -> None:
    """As systemd does with ProtectKernelTunables: read-only, and no kernel symbols."""
    if ctypes.CDLL(None).unshare(0x20000):
        raise OSError("unshare")
    _mount("none", "/", None, _REC | _PRIVATE)
    for place in places:
        if not os.path.exists(place + "/events"):
            _mount("tracefs", place, "tracefs", 0)
        _mount("none", place, None, _BIND | _REMOUNT | _RDONLY)
    _mount("/dev/null", "/proc/kallsyms", None, _BIND)


def test_tracefs_can_be_written_to_where_it_was_made_read_only(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    other = tmp_path / "debug" / "tracing"
    other.mkdir(parents=True)
    absent = tmp_path / "absent"
    places = (mounts.TRACEFS, other, absent)
    monkeypatch.setattr(mounts, "_TRACEFS_PLACES", places)

    def body() -> list[object]:
        _protect([str(mounts.TRACEFS), str(other)])
        before = [os.access(p / "events", os.W_OK) for p in places]
        mounts.unshare()
        after = [os.access(p / "events", os.W_OK) for p in places]
        symbols = Path("/proc/kallsyms").read_text()
        return [
            before,
            after,
            symbols.count("\n"),
            list(tmp_path.iterdir()) == [tmp_path / "debug"],
        ]

    found = in_child(body)
    assert found == str([[False] * 3, [True, True, False], 2, True])


def test_both_ways_to_tracefs_are_known() -> None:
    # bcc takes the second wherever debugfs is mounted.
    assert [str(p) for p in mounts._TRACEFS_PLACES] == [
        "/sys/kernel/tracing",
        "/sys/kernel/debug/tracing",
    ]
