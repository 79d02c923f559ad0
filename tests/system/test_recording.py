"""`netioctl record` with the real daemon: what is replayed is what was shown live."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import ALICE, PATIENCE, TOP, Daemon, StartTraffic, Watch, wait_until


class Record:
    """`netioctl record` in the background."""

    def __init__(self, daemon: Daemon, path: Path, *arguments: Any, uid: int | None = None) -> None:
        self.path = path
        self.process = subprocess.Popen(
            daemon.command("record", "-o", path, *arguments, uid=uid),
            stderr=subprocess.PIPE,
            text=True,
            cwd=TOP,
            env=daemon.environment,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith("recording "), line

    def finish(self, sig: int | None = signal.SIGINT) -> tuple[int, str]:
        """(exit status, stderr), after `sig` unless that is None."""
        if sig is not None:
            self.process.send_signal(sig)
        _, err = self.process.communicate(timeout=20 * PATIENCE)
        return self.process.returncode, err


def objects(daemon: Daemon, path: Path, *arguments: Any, status: int = 0) -> list[Any]:
    done = daemon.ctl("watch", "--json", "--from", path, *arguments)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where ALICE may write."""
    place = tmp_path / "alice"
    place.mkdir()
    os.chown(place, ALICE, ALICE)
    return place


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_replay_shows_what_was_shown_live(
    daemon: Daemon, traffic: StartTraffic, place: Path
) -> None:
    one = traffic("stream", 2000, uid=ALICE)
    watch = Watch(daemon, "--json", "--summary", one.pid, uid=ALICE).wait_ready()
    record = Record(daemon, place / "r", one.pid, uid=ALICE)
    said = one.run()
    one.end()
    live = watch.objects(sig=None)
    status, err = record.finish(None)
    assert (status, "none lost" in err) == (0, True), err
    assert (place / "r").stat().st_mode & 0o777 == 0o600
    again = objects(daemon, record.path, "--summary")
    assert again[:-1] == live[:-1]
    exact = ("type", "total", "connections", "complete", "missed")
    assert {k: again[-1][k] for k in exact} == {k: live[-1][k] for k in exact}
    assert again[-1]["total"]["sent_bytes"] == said["sent"]
    # In parts it is the same.
    middle = f"@{live[len(live) // 2]['time']}"
    before = objects(daemon, record.path, "--until", middle)
    after = objects(daemon, record.path, "--since", middle)
    assert len(before) + len(after) in (len(live) - 1, len(live))
    (total,) = daemon.json("summary", "--from", record.path)
    assert total["total"] == live[-1]["total"]
    (row,) = daemon.json("list", "--from", record.path)
    assert (row["pid"], row["total"]) == (one.pid, live[-1]["total"])
    *_, last = daemon.json("top", "--from", record.path, "--interval", 0.5)
    assert (last["total"], last["exited"]) == (live[-1]["total"], True)
    done = daemon.ctl("report", record.path, "--format", "json")
    report = json.loads(done.stdout)
    assert (report["total"], report["exact"]) == (live[-1]["total"], True)
    assert sum(report["throughput"]["sent_bytes"]) == said["sent"]
    # A tenth of the time it took, and then the totals.
    began = time.monotonic()
    assert objects(daemon, record.path, "--replay-speed", "10", "--summary") == again
    assert time.monotonic() - began < 10 * PATIENCE


def test_what_was_written_before_a_kill_is_there(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    one = traffic("stream", 500)
    record = Record(daemon, tmp_path / "r", one.pid)
    said = one.run()

    def written() -> list[Any]:
        return [o for o in objects(daemon, record.path) if o["type"] == "event"]

    # It can be read while it is written.
    wait_until(lambda: len(written()) == said["events"])
    record.finish(signal.SIGKILL)
    assert len(written()) == said["events"]
    done = daemon.ctl("summary", "--json", "--from", record.path)
    assert "has no end" in done.stderr
    assert json.loads(done.stdout)["total"]["sent_bytes"] == said["sent"]


def test_a_recording_goes_on_when_the_disk_is_full_as_far_as_it_can(
    daemon: Daemon, traffic: StartTraffic, small_disk: Path
) -> None:
    (small_disk / "others").write_bytes(random.Random(1).randbytes(200 << 10))
    one = traffic("stream", 20_000)
    record = Record(daemon, small_disk / "r", one.pid)
    one.start()
    status, err = record.finish(None)
    (line,) = [each for each in err.splitlines() if "netioctl:" in each]
    assert (status, "No space left on device" in line, "Traceback" in err) == (1, True, False)
    assert sum(o["type"] == "event" for o in objects(daemon, record.path)) > 1000


def test_all_files_of_a_recording_are_shown(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    one = traffic("stream", 40_000)
    record = Record(daemon, tmp_path / "r", "--max-size", "64K", "--max-files", 90, one.pid)
    said = one.run()
    one.end()
    status, err = record.finish(None)
    assert status == 0, err
    files = sorted(os.listdir(tmp_path))
    assert len(files) > 2
    shown = objects(daemon, record.path, "--summary")
    assert sum(each["type"] == "event" for each in shown) == said["events"]
    assert shown[-1]["total"]["sent_bytes"] == said["sent"]
    (total,) = daemon.json("summary", "--from", record.path)
    assert total["total"] == shown[-1]["total"]
    done = daemon.ctl("report", record.path, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["events"]) == (0, said["events"])
    # As when part of them was copied elsewhere. What was counted when they began is not theirs: all
    # of it, where the events of a fast process were written when it was done.
    *newest, sums = objects(daemon, record.path, "--from", f"{record.path}.1", "--summary")
    assert 0 < sum(each["type"] == "event" for each in newest) < said["events"]
    assert sums["total"]["send_ops"] < shown[-1]["total"]["send_ops"]
    (tmp_path / "r.1").unlink()
    gap = daemon.ctl("summary", "--json", "--from", record.path)
    (line,) = gap.stderr.splitlines()
    assert (gap.returncode, line.startswith("netioctl: a file is missing between")) == (1, True)
    assert json.loads(gap.stdout)["total"] == total["total"]


@pytest.mark.faults
def test_a_recording_outlives_the_broker(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    one = traffic("stream", 300)
    record = Record(daemon, tmp_path / "r", one.pid)
    first = one.run()
    (broker,) = [p for p in daemon.status()["processes"] if p["role"] == "broker"]
    os.kill(broker["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.ctl("status").returncode == 0 and daemon.json("list"))
    second = one.run()
    one.end()
    status, err = record.finish(None)
    assert status == 0, err
    *shown, totals = objects(daemon, record.path, "--summary")
    gap = [o for o in shown if o["type"] == "interrupted"]
    missing = sum(o["events"] for o in gap)
    events = sum(o["type"] == "event" for o in shown)
    assert len(gap) == 1
    assert events + missing == first["events"] + second["events"]
    assert totals["total"]["sent_bytes"] == first["sent"] + second["sent"]
