"""Much of everything, and too little: bounded memory, exact totals, one line for what fails."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netioctl.client import Client
from tests.system.conftest import ALICE, BOB, CACHE, TOP, StartDaemon, StartTraffic, wait_until

_MB = 1 << 20


def test_two_hundred_thousand_connections_leave_memory_bounded_and_totals_exact(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon("--max-connections", 20_000)
    one = traffic("many_peers", 200_000)
    daemon.ctl("add", one.pid)
    before = daemon.memory()
    one.start()
    # Rows come and go while they are looked at.
    with Client(daemon.run_dir) as client:
        while client.summary([one.pid]).total.send_ops < 200_000:
            pass
    said = one.result()
    summary = daemon.summary(one.pid)
    assert summary["total"]["sent_bytes"] == said["sent"]
    assert sum(row["sent_bytes"] for row in summary["connections"]) == said["sent"]
    assert any(row["family"] == "other" for row in summary["connections"])
    status = daemon.status()
    assert status["connections"] <= 20_000
    assert daemon.memory() - before < 64 * _MB


def test_a_user_with_many_connections_takes_no_rows_from_others(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon("--max-connections", 20_000)
    hers, his = traffic("many_peers", 1_000, uid=ALICE), traffic("many_peers", 100_000, uid=BOB)
    daemon.ctl("add", hers.pid, his.pid)
    said = hers.run()
    assert his.run()["sent"] == daemon.summary(his.pid)["total"]["sent_bytes"]
    assert daemon.status()["connections"] <= 20_000
    rows = daemon.summary(hers.pid)["connections"]
    assert not any(row["family"] == "other" for row in rows)
    assert len(rows) == 1_000
    assert sum(row["sent_bytes"] for row in rows) == said["sent"]


def test_ten_thousand_processes(start_daemon: StartDaemon, traffic: StartTraffic) -> None:
    daemon = start_daemon()
    count = 10_000
    one = traffic("family", count)
    one.start()
    pids = one.result()["pids"]
    assert len(pids) == count
    try:
        for at in range(0, count, 250):
            done = daemon.ctl("add", *pids[at : at + 250])
            assert done.returncode == 0, done.stderr
        assert daemon.status()["held"] == count
        one.start()
        said = one.result()
        rows = daemon.json("list")
        assert len(rows) == count
        assert sum(row["total"]["sent_bytes"] for row in rows) == said["sent"]
        assert sum(row["total"]["recv_bytes"] for row in rows) == said["recv"]
        assert daemon.memory() < 160 * _MB
    finally:
        one.end()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def netiod(run_dir: Path, *options: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a netiod that cannot start."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "netiod", "--run-dir", str(run_dir)),
            *("--cache-dir", CACHE.name),
            *options,
        ],
        cwd=TOP,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,  # type: ignore[call-overload]
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a log, a directory, a lock file and one socket."""
    place = tmp_path / "small"
    place.mkdir()
    tmp_path.chmod(0o755)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=5,mode=755", "none", str(place)], check=True
    )
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.faults
def test_a_full_disk_under_the_run_directory_costs_the_stream_alone(
    start_daemon: StartDaemon, traffic: StartTraffic, small_disk: Path
) -> None:
    daemon = start_daemon(run_dir=small_disk / "run")
    one = traffic("unix_pair")
    done = daemon.ctl("watch", "--count", 1, one.pid)
    assert done.returncode == 1
    assert "the stream cannot be opened" in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("netioctl:")]) == 1
    assert "No space left on device" in daemon.log
    # All that needs no stream goes on.
    assert daemon.ctl("add", one.pid).returncode == 0
    said = one.run()
    assert daemon.summary(one.pid)["total"]["sent_bytes"] == said["sent"]


def test_a_disk_that_is_full_from_the_start_is_one_line(small_disk: Path) -> None:
    for name in ("a", "b", "c"):
        with contextlib.suppress(OSError):
            (small_disk / name).mkdir()
    done = netiod(small_disk / "run")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()[-1:]
    assert "No space left on device" in line
    assert "Traceback" not in done.stderr


@pytest.mark.faults
def test_too_few_descriptors_refuse_new_clients_and_harm_no_other(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon(setup="import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (96, 96))")
    one = traffic("unix_pair")
    assert daemon.ctl("add", one.pid).returncode == 0
    kept = daemon.connect()
    crowd = []
    for _ in range(150):
        crowd.append(daemon.connect())
    kept.sendall(b'{"jsonrpc":"2.0","id":1,"method":"list"}\n')
    assert b'"id":1' in kept.recv(65536)
    for each in crowd:
        each.close()
    wait_until(lambda: daemon.ctl("list").returncode == 0, 10, "clients are served again")
    said = one.run()
    assert daemon.summary(one.pid)["total"]["sent_bytes"] == said["sent"]
    kept.close()


@pytest.mark.faults
def test_no_process_more_for_the_user_is_told_and_heals(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon(setup="import resource as r; r.setrlimit(r.RLIMIT_NPROC, (0, 100))")
    one = traffic("unix_pair")
    done = daemon.ctl("watch", "--duration", "1", one.pid)
    assert done.returncode != 0
    wait_until(lambda: "the operators' gate ended with status 1" in daemon.log, 10, "it is told")
    assert "no thread can be started: uid " in daemon.log
    assert "(RLIMIT_NPROC)" in daemon.log
    # All that needs no stream goes on; and streams do, once there is room.
    assert daemon.ctl("add", one.pid).returncode == 0
    said = one.run()
    assert daemon.summary(one.pid)["total"]["sent_bytes"] == said["sent"]
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NPROC, (100, 100))
    done = daemon.ctl("watch", "--summary", "--duration", "1", one.pid)
    assert done.returncode == 0, done.stderr


def test_no_memory_for_a_map_is_one_line(tmp_path: Path) -> None:
    limits = Path("/sys/fs/cgroup/memory")
    if not (limits / "memory.limit_in_bytes").exists():
        pytest.skip("no memory cgroup (v1) to limit the kernel's memory with")
    group = limits / f"netio-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(300 * _MB))
        done = netiod(
            tmp_path / "run",
            *("--max-connections", "4000000"),
            preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
        )
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), what="it has ended")
        group.rmdir()
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "emory" in done.stderr.splitlines()[-1]


def test_limits_of_this_process_are_its_own() -> None:
    # The tests above must not leave anything behind in this one.
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 96
