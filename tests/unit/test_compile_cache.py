"""Compiled programs on disk: what is kept, what is trusted, what is forgotten."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from netiod import compile_cache, compiled
from netiod.compile_cache import CompileCache
from netiod.compiled import Compiled, MapShape

_EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)
#: A reference to the map in the first place, whose second half looks like an instruction 0.
_REFERENCE = struct.pack("<BBhiBBhi", 0x18, 0x11, 0, 0, 0, 0, 0, 0)
#: The same instruction with a plain number.
_NUMBER = struct.pack("<BBhiBBhi", 0x18, 0x01, 0, 0, 0, 0, 0, 0)
MADE = Compiled(
    {"one": _REFERENCE + _EXIT, "two": _EXIT}, (MapShape("cells", 2, 4, 64, 128, 1024),)
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "above" / "cache"


def only_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


def test_what_is_put_is_got(directory: Path) -> None:
    CompileCache(directory).put("a", MADE)
    assert CompileCache(directory).get("a") == MADE
    assert directory.stat().st_mode & 0o777 == 0o700
    assert only_file(directory).stat().st_mode & 0o777 == 0o600


def test_nothing_is_got_of_what_was_not_put(directory: Path) -> None:
    cache = CompileCache(directory)
    assert cache.get("a") is None
    cache.put("a", MADE)
    assert cache.get("b") is None


@pytest.mark.parametrize("kept", [0, 1, 31, 32, 40, -1])
def test_what_was_not_written_to_its_end_is_nothing(directory: Path, kept: int) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    path = only_file(directory)
    path.write_bytes(path.read_bytes()[:kept])
    assert cache.get("a") is None
    cache.put("a", MADE)
    assert cache.get("a") == MADE


def test_a_byte_that_has_changed_is_noticed(directory: Path) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    path = only_file(directory)
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 7):
        data[at] ^= 1
        path.write_bytes(data)
        assert cache.get("a") is None
        data[at] ^= 1


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_not_trusted(directory: Path, mode: int) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    only_file(directory).chmod(mode)
    with pytest.raises(PermissionError, match=r"others can write to it: '.*a\.bpf'"):
        cache.get("a")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_can_write_is_not_used(directory: Path, mode: int) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    directory.chmod(mode)
    for use in (lambda: cache.get("a"), lambda: cache.put("b", MADE)):
        with pytest.raises(PermissionError, match=r"others can write to it: '.*cache'"):
            use()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_is_another_users_is_not_trusted(directory: Path) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    os.chown(only_file(directory), 54321, 54321)
    with pytest.raises(PermissionError):
        cache.get("a")


def test_links_are_not_followed(directory: Path, tmp_path: Path) -> None:
    cache = CompileCache(directory)
    cache.put("a", MADE)
    only_file(directory).rename(tmp_path / "elsewhere")
    (directory / "a.bpf").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        cache.get("a")
    cache.put("a", MADE)
    assert cache.get("a") == MADE
    linked = tmp_path / "linked"
    linked.symlink_to(directory)
    with pytest.raises(OSError, match="Not a directory"):
        CompileCache(linked).get("a")


def test_the_least_used_are_forgotten(directory: Path) -> None:
    cache = CompileCache(directory)
    (directory / "x").parent.mkdir(parents=True, mode=0o700)
    (directory / "kernel.deb").write_text("not ours")
    for number in range(40):
        cache.put(f"{number}", MADE)
        for path in directory.glob("*.bpf"):
            # As if time had gone by.
            found = path.stat()
            os.utime(path, (found.st_atime - 10, found.st_mtime - 10))
        assert cache.get("0") == MADE
    left = {path.stem for path in directory.glob("*.bpf")}
    assert left == {"0", *(f"{number}" for number in range(25, 40))}
    assert (directory / "kernel.deb").exists()


def test_what_a_writer_left_that_was_killed_does_not_stay_or_matter(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CompileCache(directory)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            cache.put("a", MADE)
    assert cache.get("a") is None
    cache.put("a", MADE)
    assert cache.get("a") == MADE
    assert only_file(directory).name == "a.bpf"


def test_whatever_the_result_depends_on_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        compile_cache.key("text", ["-DA", "-DB"], "1"),
        compile_cache.key("text", ["-DA-DB"], "1"),
        compile_cache.key("text", ["-DA"], "-DB1"),
        compile_cache.key("text ", ["-DA", "-DB"], "1"),
        compile_cache.key("text", ["-DA", "-DB"], "2"),
    }
    other = list(os.uname())
    other[3] += "1"
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(other))
    keys.add(compile_cache.key("text", ["-DA", "-DB"], "1"))
    assert len(keys) == 6


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff{}",
        struct.pack("<I", 2) + b"{}",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 4) + b"null",
        struct.pack("<I", 26) + b'{"programs":{},"maps":[1]}',
        struct.pack("<I", 30) + b'{"programs":{"a":7},"maps":[]}' + bytes(7),
        MADE.to_bytes() + b"more",
    ],
)
def test_what_is_no_compiled_program_says_so(data: bytes) -> None:
    with pytest.raises(ValueError, match="not compiled programs"):
        Compiled.from_bytes(data)


def test_references_to_maps_are_replaced_and_nothing_else() -> None:
    code = _REFERENCE + _NUMBER + _EXIT
    placed = struct.pack("<BBhiBBhi", 0x18, 0x11, 0, 77, 0, 0, 0, 0)
    assert compiled.with_maps(code, {0: 77}) == placed + _NUMBER + _EXIT
    with pytest.raises(KeyError):
        compiled.with_maps(code, {1: 77})
