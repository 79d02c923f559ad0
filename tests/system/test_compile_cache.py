"""Compiled programs are kept, and netiod starts with them, and without them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import Daemon, StartDaemon, StartTraffic


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "compiled"


def start(start_daemon: StartDaemon, cache: Path) -> Daemon:
    # Of two, the last one is taken.
    return start_daemon("--cache-dir", cache)


def counts(daemon: Daemon, traffic: StartTraffic) -> bool:
    one = traffic("unix_pair")
    daemon.ctl("add", one.pid)
    said = one.run()
    total = daemon.summary(one.pid)["total"]
    return (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])


def test_only_the_first_start_compiles(
    start_daemon: StartDaemon, traffic: StartTraffic, cache: Path
) -> None:
    first = start(start_daemon, cache)
    assert "compiled in " in first.log
    assert counts(first, traffic)
    first.stop()
    kept = {path: path.read_bytes() for path in cache.iterdir()}
    second = start(start_daemon, cache)
    assert "compiled" not in second.log
    assert counts(second, traffic)
    assert {path: path.read_bytes() for path in cache.iterdir()} == kept


def test_what_is_damaged_is_compiled_anew(
    start_daemon: StartDaemon, traffic: StartTraffic, cache: Path
) -> None:
    start(start_daemon, cache).stop()
    kept = {path: path.read_bytes() for path in cache.iterdir()}
    for path, data in kept.items():
        path.write_bytes(data[: len(data) // 2] + b"rubbish" + data[len(data) // 2 + 7 :])
    daemon = start(start_daemon, cache)
    assert "compiled in " in daemon.log
    assert counts(daemon, traffic)
    assert {path: path.read_bytes() for path in cache.iterdir()} == kept


def test_what_a_stranger_may_have_written_is_not_read(
    start_daemon: StartDaemon, traffic: StartTraffic, cache: Path
) -> None:
    start(start_daemon, cache).stop()
    cache.chmod(0o777)
    kept = {path: path.stat() for path in cache.iterdir()}
    daemon = start(start_daemon, cache)
    assert f"nothing compiled is taken from {cache}: others can write to it" in daemon.log
    assert f"what was compiled is not kept: {cache}: others can write to it" in daemon.log
    assert counts(daemon, traffic)
    assert {path: path.stat() for path in cache.iterdir()} == kept


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system without room."""
    place = tmp_path / "full"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_without_room_it_starts_all_the_same(
    start_daemon: StartDaemon, traffic: StartTraffic, full: Path
) -> None:
    daemon = start(start_daemon, full / "compiled")
    assert f"what was compiled is not kept: {full}/compiled: No space left on device" in daemon.log
    assert list((full / "compiled").iterdir()) == []
    assert counts(daemon, traffic)
    daemon.stop()


def test_where_there_can_be_no_directory_it_starts_all_the_same(
    start_daemon: StartDaemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    daemon = start(start_daemon, tmp_path / "file" / "compiled")
    assert f"what was compiled is not kept: {tmp_path}/file/compiled: Not a directory" in daemon.log
    assert counts(daemon, traffic)
