"""Abuse by one user, in short: no other user notices. At length: `sudo ./netio soak`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.soak import fuzz
from tests.soak.abuse import P99_MS, Scene
from tests.soak.abuser import KINDS
from tests.system.conftest import ALICE, BOB, Daemon, StartDaemon, StartTraffic

SECONDS = 3.0
CASES = 10_000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One netiod for all kinds: what one of them leaves behind shows in the next."""
    place = tmp_path_factory.mktemp("abuse")
    for parent in (place, place.parent, place.parent.parent):
        parent.chmod(0o755)
    with Scene(place / "run") as made:
        yield made
        assert made.defects() == []


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_else_notices(scene: Scene, kind: str) -> None:
    seen = scene.abuse(kind, SECONDS)
    if seen.complaints(P99_MS) and not seen.died:
        # Others may want the processor: what netiod itself does wrong is wrong twice.
        seen = scene.abuse(kind, SECONDS)
    assert seen.complaints(P99_MS) == []
    assert seen.times["kept"]["n"] > 100
    assert scene.streams("his") > 0


def test_the_abusers_own_stream_comes_back(scene: Scene) -> None:
    scene.abuse("gate-connections", SECONDS)
    deadline = time.monotonic() + 15
    while not scene.streams("hers"):
        assert time.monotonic() < deadline, "her gate has not come back"


def test_requests_made_at_random(daemon: Daemon) -> None:
    done = fuzz.Fuzz(str(daemon.run_dir / "control.sock")).run(range(CASES), lambda _done: None)
    assert done == CASES
    assert daemon.defects == ""


def test_requests_that_once_found_a_failure(daemon: Daemon) -> None:
    seeds = fuzz.kept()
    assert fuzz.Fuzz(str(daemon.run_dir / "control.sock")).run(seeds, lambda _done: None)
    assert daemon.defects == ""


def test_a_user_who_holds_many_processes_is_told_the_limit(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    # A quarter of 64.
    daemon = start_daemon("--max-pids", 64)
    hers = [traffic("unix_pair", uid=ALICE).pid for _ in range(17)]
    his = traffic("unix_pair", uid=BOB).pid
    done = daemon.ctl("add", *hers, uid=ALICE)
    assert done.returncode == 1
    assert f"uid {ALICE} holds 16 processes" in done.stderr
    assert "--max-pids" in done.stderr
    assert len(daemon.json("list", uid=ALICE)) == 16
    assert daemon.ctl("add", his, uid=BOB).returncode == 0
    assert daemon.ctl("add", hers[16]).returncode == 0
    # What she lets go makes room.
    assert daemon.ctl("remove", hers[0], uid=ALICE).returncode == 0
    watched = daemon.ctl("watch", "--duration", "0.1", hers[0], uid=ALICE)
    assert watched.returncode == 0, watched.stderr
    assert "limit=held most=16" in daemon.log
