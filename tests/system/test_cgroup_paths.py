"""Selectors by cgroup outlive the cgroup: units and containers that are restarted."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl import Client, Selector, cgroups
from netioctl.wire import layout
from netiod import maps
from tests.system.conftest import ALICE, BOB, Daemon, as_user, wait_until
from tests.system.test_selectors import CROWD, of_type, totals, watched

#: <linux/bpf.h>: enum bpf_cmd, and where struct bpf_map_info has the name.
_MAP_GET_FD_BY_ID, _MAP_INFO_SIZE, _MAP_NAME = 14, 96, 24


class Unit:
    """A cgroup, as systemd makes one for a service at each start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: As the kernel has it.
        self.name = str(path)[len(cgroups._root()) :]

    def ident(self) -> int:
        """Its id now; 0: it is not there."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

    def restart(self) -> None:
        if self.path.exists():
            # What has ended in it may still be about to leave.
            wait_until(lambda: "populated 0" in (self.path / "cgroup.events").read_text())
            self.path.rmdir()
        self.path.mkdir()

    def move(self, count: int, size: int, uid: int | None = None) -> None:
        """`count` processes, made in it, of which each sends `size` bytes."""
        script = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
        program = [*as_user(uid), sys.executable, str(CROWD), "", str(count), str(size)]
        subprocess.run(
            ["sh", "-c", script, "sh", str(self.path), *program],
            input="\n\n",
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
            cwd="/",
        )


@pytest.fixture
def unit() -> Iterator[Unit]:
    try:
        root = Path(cgroups._root())
    except Exception as error:  # noqa: BLE001
        pytest.skip(str(error))
    place = root / "netiopaths.slice"
    place.mkdir(exist_ok=True)
    one = Unit(place / "netiopaths.service")
    one.restart()
    yield one
    for directory in (one.path, place):
        if directory.exists():
            wait_until(lambda at=directory: "populated 0" in (at / "cgroup.events").read_text())
            directory.rmdir()


def broker(daemon: Daemon) -> int:
    (pid,) = [each["pid"] for each in daemon.status()["processes"] if each["role"] == "broker"]
    return int(pid)


def entries(daemon: Daemon, name: str, key: str, value: str) -> list[bytes]:
    """The keys of a map of a daemon's; `key` and `value`: structs of event.h."""
    structs = layout.load().structs
    sizes = [structs[each].size if each in structs else 8 for each in (key, value)]
    texts = (path.read_text() for path in Path(f"/proc/{broker(daemon)}/fdinfo").iterdir())
    for number in [
        int(found[1]) for found in (re.search(r"map_id:\s(\d+)", t) for t in texts) if found
    ]:
        attr = ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 128)
        fd = maps.bpf(_MAP_GET_FD_BY_ID, attr)
        try:
            info = ctypes.create_string_buffer(_MAP_INFO_SIZE)
            attr = ctypes.create_string_buffer(
                struct.pack("=IIQ", fd, _MAP_INFO_SIZE, ctypes.addressof(info)), 128
            )
            maps.bpf(maps._GET_INFO, attr)
            if info.raw[_MAP_NAME : _MAP_NAME + 16].rstrip(b"\0").decode() == name[:15]:
                return [found for found, _ in maps.Map(fd, *sizes).items()]
        finally:
            os.close(fd)
    pytest.fail(f"netiod has no map {name}")


def all_entries(daemon: Daemon) -> tuple[int, int, int]:
    """How many selectors, paths and their numbers the kernel has."""
    return (
        len(entries(daemon, "selectors", "selector_key", "selector")),
        len(entries(daemon, "cgroup_paths", "cgroup_path", "path_owners")),
        len(entries(daemon, "cgroup_ids", "u64", "u64")),
    )


def sent(rows: list[dict[str, Any]]) -> int:
    return sum(row["total"]["sent_bytes"] for row in rows if row["type"] != "selector")


def test_a_unit_that_is_restarted_is_watched_on_from_its_first_byte(
    daemon: Daemon, unit: Unit
) -> None:
    label = f"--cgroup {unit.name}"
    assert daemon.ctl("add", "--cgroup", unit.name).stderr == f"added {label}\n"
    watches = [
        watched(daemon, "--unit", "netiopaths"),
        watched(daemon, "--cgroup", unit.path),
        # What is below a cgroup that is made anew belongs to it.
        watched(daemon, "--cgroup", unit.path.parent),
    ]
    for _ in range(4):
        unit.restart()
        unit.move(10, 123)
    for watch in watches:
        objects = watch.objects()
        assert totals(objects)["sent_bytes"] == 40 * 123
        assert totals(objects)["send_ops"] == 40
        assert [each["bytes"] for each in of_type(objects, "event") if each["bytes"] > 99] == (
            [123] * 40
        )
        assert not of_type(objects, "lost")
    rows = daemon.json("list")
    assert sent(rows) == 40 * 123
    (shown,) = [row for row in rows if row["type"] == "selector"]
    assert (shown["path"], shown["value"]) == (unit.name, unit.ident())


def test_what_lives_in_a_restarted_unit_is_summed_up(daemon: Daemon, unit: Unit) -> None:
    assert daemon.ctl("add", "--unit", "netiopaths").returncode == 0
    unit.restart()
    script = "import socket; a, b = socket.socketpair(); a.send(b'x' * 321); input()"
    process = subprocess.Popen(
        ["sh", "-c", f'echo $$ >"$0"/cgroup.procs; exec {sys.executable} -c "{script}"', unit.path],
        stdin=subprocess.PIPE,
    )
    try:
        command = ("summary", "--unit", "netiopaths")
        wait_until(lambda: daemon.ctl(*command).returncode == 0, what="it has sent")
        (summary,) = daemon.json(*command)
        assert summary["total"]["sent_bytes"] == 321
    finally:
        process.communicate(b"\n")


def test_a_path_that_is_not_there_yet_is_waited_for(daemon: Daemon, unit: Unit) -> None:
    unit.path.rmdir()
    refused = daemon.ctl("watch", "--cgroup", unit.name)
    assert refused.stderr == f"netioctl: no such cgroup: {unit.name}; --wait waits for it\n"
    watch = watched(daemon, "--cgroup", unit.name)
    unit.restart()
    unit.move(10, 50)
    assert totals(watch.objects())["sent_bytes"] == 500


def test_other_hierarchies_do_not_count(daemon: Daemon, unit: Unit) -> None:
    """cgroup v1 may have the same paths."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    place = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup"), None)
    if place is None:
        pytest.skip("no cgroup v1 here")
    slice_ = place / unit.path.parent.name
    assert daemon.ctl("add", "--cgroup", unit.name).returncode == 0
    (slice_ / unit.path.name).mkdir(parents=True)
    try:
        (row,) = daemon.json("list")
        assert row["value"] == unit.ident()
    finally:
        (slice_ / unit.path.name).rmdir()
        slice_.rmdir()


def test_many_restarts_leave_nothing_behind(daemon: Daemon, unit: Unit) -> None:
    assert all_entries(daemon) == (0, 0, 0)
    assert daemon.ctl("add", "--cgroup", unit.name).returncode == 0
    watch = watched(daemon, "--cgroup", unit.name, uid=ALICE)
    for _ in range(500):
        unit.restart()
    wait_until(lambda: all_entries(daemon) == (4, 1, 1), what="two selectors, each with a cgroup")
    unit.move(1, 77, uid=ALICE)
    assert totals(watch.objects())["sent_bytes"] == 77
    # A selector is removed though its cgroup is not there.
    unit.path.rmdir()
    assert daemon.ctl("remove", "--unit", "netiopaths").stderr == "removed --unit netiopaths\n"
    assert daemon.ctl("remove", "--cgroup", unit.name).stderr.endswith(" was not added\n")
    wait_until(lambda: all_entries(daemon) == (0, 0, 0), what="nothing is left")


def test_a_user_sees_none_but_its_own(daemon: Daemon, unit: Unit) -> None:
    alice = watched(daemon, "--cgroup", unit.name, uid=ALICE)
    root = watched(daemon, "--cgroup", unit.name)
    unit.restart()
    unit.move(5, 100, uid=ALICE)
    unit.move(5, 10, uid=BOB)
    unit.move(5, 1)
    objects = alice.objects()
    assert totals(objects)["sent_bytes"] == 500
    assert len(of_type(objects, "began")) == 5
    assert totals(root.objects())["sent_bytes"] == 555


def test_who_lies_about_an_id_deceives_itself_alone(daemon: Daemon, unit: Unit) -> None:
    """The id that goes with a path is what a client says."""
    other = Unit(unit.path.parent / "other.service")
    other.restart()
    try:
        watch = watched(daemon, "--cgroup", unit.name)
        request = {"selectors": [{"kind": "cgroup", "path": unit.name, "value": other.ident()}]}
        script = (
            "import sys; from netioctl import Client\n"
            f"client = Client({str(daemon.run_dir)!r})\n"
            f"client._ask('watch', {{'pids': [], **{request!r}}})\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
        )
        liar = subprocess.Popen(
            [*as_user(ALICE), sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=daemon.environment,
        )
        assert liar.stdout is not None
        assert liar.stdout.readline() == "ready\n"
        other.move(5, 100, uid=ALICE)
        unit.restart()
        unit.move(5, 10)
        other.move(5, 100, uid=ALICE)
        liar.communicate("\n")
        assert totals(watch.objects())["sent_bytes"] == 50
    finally:
        other.path.rmdir()


def test_one_by_path_and_one_by_id_may_mean_the_same(daemon: Daemon, unit: Unit) -> None:
    ident = unit.ident()
    by_id, by_path = (Selector("cgroup", ident, "", 2, path) for path in (None, unit.name))
    with Client(daemon.run_dir) as client:
        client.add([], selectors=[by_id])
        client.add([], selectors=[by_path])
        unit.move(1, 10)
        client.remove([], selectors=[by_path])
        unit.move(1, 100)
        assert sent(daemon.json("list")) == 110
        client.add([], selectors=[by_path])
        client.remove([], selectors=[by_id])
        unit.move(1, 1000)
        unit.restart()
        unit.move(1, 10000)
        assert sent(daemon.json("list")) == 11110


def test_a_cgroup_that_is_made_while_one_asks_is_known(daemon: Daemon, unit: Unit) -> None:
    """Between the client's look at the path and the kernel's."""
    script = (
        "import os, sys, threading\n"
        "ends = threading.Thread(target=sys.stdin.readline)\n"
        "ends.start()\n"
        "while ends.is_alive():\n"
        "    os.rmdir(sys.argv[1]); os.mkdir(sys.argv[1])\n"
    )
    for _ in range(15):
        restarts = subprocess.Popen(
            [sys.executable, "-c", script, unit.path], stdin=subprocess.PIPE, text=True
        )
        with Client(daemon.run_dir) as client:
            before = unit.ident()
            wait_until(lambda was=before: unit.ident() not in (0, was))
            selectors = [Selector("cgroup", None, "", 2, unit.name)]
            client.add([], selectors=selectors)
            restarts.communicate("\n")
            ident = unit.ident()
            wait_until(lambda now=ident: client.listing().selectors[0].value == now)
            client.remove([], selectors=selectors)


def test_so_many_users_may_go_by_one_path(daemon: Daemon, unit: Unit) -> None:
    most = layout.load().constants["NETIO_PATH_OWNERS"] - 1
    for uid in range(ALICE, ALICE + most):
        assert daemon.ctl("add", "--cgroup", unit.name, uid=uid).returncode == 0
    refused = daemon.ctl("add", "--cgroup", unit.name, uid=ALICE + most)
    assert refused.stderr == (
        f"netioctl: {most} users have selectors by that path of a cgroup, and no more can\n"
    )
    assert daemon.ctl("add", "--cgroup", unit.name).returncode == 0
    unit.restart()
    unit.move(1, 10, uid=ALICE + most - 1)
    (row,) = [r for r in daemon.json("list", uid=ALICE + most - 1) if r["type"] != "selector"]
    assert row["total"]["sent_bytes"] == 10


@pytest.mark.faults
def test_a_restart_without_a_broker_is_noticed(daemon: Daemon, unit: Unit) -> None:
    assert daemon.ctl("add", "--unit", "netiopaths").returncode == 0
    watch = watched(daemon, "--cgroup", unit.name)
    os.kill(broker(daemon), signal.SIGKILL)
    for _ in range(3):
        unit.restart()
        unit.move(5, 100)
    wait_until(lambda: daemon.ctl("status").returncode == 0, 10)
    unit.restart()
    unit.move(5, 100)
    wait_until(lambda: sent(daemon.json("list")) == 2000, what="all is counted")
    assert totals(watch.objects())["sent_bytes"] == 2000
    assert all_entries(daemon)[:2] == (2, 1)
    assert daemon.ctl("remove", "--unit", "netiopaths").returncode == 0
    wait_until(lambda: all_entries(daemon) == (0, 0, 0), 15, "nothing is left")
