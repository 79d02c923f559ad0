"""Processes that are chosen: by name, user, cgroup, all; and children that are followed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl import cgroups
from netiod.btf import Btf
from netiod.features import Features
from tests.system.conftest import (
    ALICE,
    BOB,
    TOP,
    Daemon,
    StartDaemon,
    StartTraffic,
    Watch,
    as_user,
    wait_until,
)

CROWD = Path(__file__).with_name("crowd.py")
COUNT, SIZE = 60, 1234


@pytest.fixture
def daemon(backend_daemon: Daemon) -> Daemon:
    """A netiod with each back-end: their programs choose at different moments."""
    return backend_daemon


class Crowd:
    """A process of crowd.py, ready to begin."""

    def __init__(
        self, name: str, count: int = COUNT, size: int = SIZE, *more: str, uid: int | None = None
    ) -> None:
        command = [*as_user(uid), sys.executable, str(CROWD), name, str(count), str(size), *more]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        self.pid = self.process.pid
        assert self._line() == "ready\n"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def run(self) -> None:
        """Have it fork; returns when all children have ended."""
        self._go()
        assert self._line() == "done\n"

    def end(self) -> None:
        """Let it exit."""
        self.process.communicate("\n", timeout=10)


@contextlib.contextmanager
def crowd(*arguments: Any, uid: int | None = None) -> Iterator[Crowd]:
    one = Crowd(*arguments, uid=uid)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


def totals(objects: list[dict[str, Any]]) -> dict[str, int]:
    (summary,) = [each for each in objects if each["type"] == "summary"]
    assert summary["complete"] is True
    total: dict[str, int] = summary["total"]
    return total


def tells_loss(objects: list[dict[str, Any]]) -> bool:
    """Whether the kernel skipped hooks, which it may where it can be preempted inside them, and
    whoever watches was told."""
    (summary,) = [each for each in objects if each["type"] == "summary"]
    if summary["complete"]:
        return False
    assert Features(Btf.of_kernel()).preemptible_tracepoints
    return True


def of_type(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["type"] == kind]


def watched(daemon: Daemon, *options: Any, uid: int | None = None) -> Watch:
    return Watch(daemon, "--json", "--summary", "--wait", *options, uid=uid).wait_ready()


def test_each_process_of_a_name_is_caught_from_its_first_byte(daemon: Daemon) -> None:
    """Processes that live a millisecond, and end before anybody could look at them."""
    with crowd("flash") as many, crowd("other") as others:
        watch = watched(daemon, "--name", "flash")
        many.run()
        others.run()
        objects = watch.objects()
    assert totals(objects) == {
        "sent_bytes": COUNT * SIZE,
        "recv_bytes": 0,
        "send_ops": COUNT,
        "recv_ops": 0,
    }
    assert len(of_type(objects, "began")) == len(of_type(objects, "exit")) == COUNT
    events = of_type(objects, "event")
    assert [(e["comm"], e["bytes"]) for e in events] == [("flash", SIZE)] * COUNT
    assert not of_type(objects, "lost")


@pytest.mark.parametrize("more", [(), ("double",)])
def test_children_are_followed_from_their_first_byte(daemon: Daemon, more: tuple[str, ...]) -> None:
    with crowd("", COUNT, SIZE, *more) as many, crowd("") as others:
        watch = watched(daemon, "--follow", many.pid)
        many.run()
        others.run()
        objects = watch.objects()
    if tells_loss(objects):
        return
    assert totals(objects)["sent_bytes"] == COUNT * SIZE
    began = of_type(objects, "began")
    known = {many.pid} | {each["pid"] for each in began}
    assert len(began) == COUNT * (2 if more else 1)
    assert {each["parent"] for each in began} <= known
    assert sum(each["bytes"] for each in of_type(objects, "event")) == COUNT * SIZE


def test_a_child_that_is_followed_is_chosen_by_its_name_as_well(daemon: Daemon) -> None:
    """It was counted since its fork, when it had another name."""
    with crowd("child") as many:
        follow = watched(daemon, "--follow", many.pid)
        name = watched(daemon, "--name", "child")
        many.run()
        for watch in (name, follow):
            objects = watch.objects()
            assert totals(objects)["sent_bytes"] == COUNT * SIZE
            assert len(of_type(objects, "began")) == COUNT


def test_children_of_before_are_followed_too(daemon: Daemon) -> None:
    script = "import sys, subprocess; subprocess.run([sys.executable, *sys.argv[1:]])"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(CROWD), "", "5", "100"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert parent.stdout.readline() == "ready\n"
    watch = watched(daemon, "--follow", parent.pid)
    parent.communicate("\n\n", timeout=10)
    # It ends by itself with the last of them.
    status, out, err = watch.finish(None)
    assert status == 0, err
    assert totals([json.loads(line) for line in out.splitlines()])["sent_bytes"] == 500


def test_a_user_is_chosen_and_sees_none_but_its_own(daemon: Daemon) -> None:
    with crowd("x", 10, 100, uid=ALICE) as alices, crowd("x", 10, 100, uid=BOB) as bobs:
        own = watched(daemon, "--user", ALICE, uid=ALICE)
        names = watched(daemon, "--name", "x", uid=BOB)
        everyones = watched(daemon, "--name", "x")
        of_bob = watched(daemon, "--user", BOB)
        alices.run()
        bobs.run()
        assert totals(own.objects())["sent_bytes"] == 1000
        objects = names.objects()
        assert totals(objects)["sent_bytes"] == 1000
        assert len(of_type(objects, "began")) == 10
        assert totals(everyones.objects())["sent_bytes"] == 2000
        assert totals(of_bob.objects())["sent_bytes"] == 1000


def test_what_is_not_for_a_user_is_refused(daemon: Daemon) -> None:
    for options, why in (
        (("--all",), "only root and members of the group may watch all processes"),
        (("--user", "root"), "only root and members of the group may watch other users' processes"),
    ):
        refused = daemon.ctl("watch", *options, uid=ALICE)
        assert (refused.returncode, refused.stderr) == (1, f"netioctl: {why}\n")


def test_who_becomes_another_user_is_not_the_first_ones(daemon: Daemon) -> None:
    """Chosen as root's by an operator; by its later owner only for what it does as such."""
    script = (
        "import os, socket, sys\n"
        "a, b = socket.socketpair()\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "a.send(b'r' * 10)\n"
        f"os.setresuid({ALICE}, {ALICE}, {ALICE})\n"
        "a.send(b'a' * 3)\n"
        "print('done', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "ready\n"
        alice = watched(daemon, "--user", ALICE, uid=ALICE)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        objects = alice.objects()
        shown = [each["bytes"] for each in of_type(objects, "event")]
        if tells_loss(objects):
            assert shown in ([], [3])
        else:
            assert shown == [3]
            assert totals(objects)["sent_bytes"] == 3
    finally:
        process.communicate("\n")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of the unified hierarchy, as systemd and container runtimes make them."""
    try:
        root = cgroups._root()
    except Exception as error:  # noqa: BLE001
        pytest.skip(str(error))
    place = Path(root) / "netiotest.slice"
    inner = place / "netiotest.service" / "inner"
    inner.mkdir(parents=True, exist_ok=True)
    docker = place / f"docker-{'ab12' * 16}.scope"
    docker.mkdir(exist_ok=True)
    yield place
    for directory in (inner, inner.parent, docker, place):
        directory.rmdir()


def test_cgroups_units_and_containers(daemon: Daemon, cgroup: Path) -> None:
    service, docker = cgroup / "netiotest.service" / "inner", next(cgroup.glob("docker-*"))
    with crowd("", 10, 100) as served, crowd("", 10, 10) as contained, crowd("", 10, 1):
        for one, place in ((served, service), (contained, docker)):
            (place / "cgroup.procs").write_text(str(one.pid))
        watches = [
            (watched(daemon, "--unit", "netiotest"), 1000),
            (watched(daemon, "--cgroup", f"/{cgroup.name}"), 1100),
            (watched(daemon, "--cgroup", str(service)), 1000),
            (watched(daemon, "--container", "ab12ab12ab12"), 100),
        ]
        served.run()
        contained.run()
        for watch, expected in watches:
            objects = watch.objects()
            assert tells_loss(objects) or totals(objects)["sent_bytes"] == expected
        for one in (served, contained):
            one.end()


def test_all_passes_over_netiod_and_who_watches(daemon: Daemon) -> None:
    with crowd("", 5, 100) as one:
        watch = watched(daemon, "--all")
        one.run()
        objects = watch.objects()
    own = {each["pid"] for each in daemon.status()["processes"]} | {watch.process.pid}
    seen = {each["pid"] for each in of_type(objects, "began")}
    assert len(seen & own) == 0
    events = [e for e in of_type(objects, "event") if e["bytes"] == 100]
    assert len(events) == 5


def test_a_process_that_was_held_is_chosen_once_more(daemon: Daemon, traffic: StartTraffic) -> None:
    """What it had done before is not part of the watch; another name makes it one of those."""
    one = traffic("rename", "renamed")
    assert daemon.ctl("add", one.pid).returncode == 0
    watch = watched(daemon, "--name", "renamed")
    one.run()
    wait_until(lambda: daemon.json("list")[0]["comm"] == "renamed", what="the new name")
    one.end()
    objects = watch.objects()
    assert [each["pid"] for each in of_type(objects, "began")] in ([], [one.pid])


def test_selectors_are_added_listed_and_removed(start_daemon: StartDaemon, backend: str) -> None:
    daemon = start_daemon("--backend", backend)
    with crowd("steady", 10, 100) as one, crowd("steady", 10, 100) as two:
        added = daemon.ctl("add", "--name", "steady")
        assert (added.returncode, added.stderr) == (0, "added --name steady\n")
        assert daemon.ctl("add", "--name", "steady").stderr == ("--name steady was already added\n")
        (shown,) = daemon.json("list")
        assert (shown["type"], shown["kind"], shown["value"]) == ("selector", "name", "steady")
        assert daemon.ctl("list", uid=ALICE).stderr.startswith("no process is watched or added")
        one.run()
        wait_until(lambda: daemon.status()["held"] == 0, what="all have exited")
        (summary,) = daemon.json("summary", "--name", "steady")
        assert summary["total"]["sent_bytes"] == 1000
        assert daemon.ctl("remove", "--name", "steady").returncode == 0
        again = daemon.ctl("remove", "--name", "steady")
        assert (again.returncode, again.stderr) == (1, "netioctl: --name steady was not added\n")
        two.run()
        (summary,) = daemon.json("summary", "--name", "steady")
        assert summary["total"]["sent_bytes"] == 1000


@pytest.mark.faults
def test_selectors_survive_the_broker(daemon: Daemon) -> None:
    """What was added misses no byte, and neither does the time without a broker."""
    assert daemon.ctl("add", "--name", "added").returncode == 0
    with crowd("added", 20, 100) as added, crowd("seen", 20, 10) as seen:
        watch = watched(daemon, "--name", "seen")
        follow = watched(daemon, "--follow", seen.pid)
        broker = next(p["pid"] for p in daemon.status()["processes"] if p["role"] == "broker")
        os.kill(broker, signal.SIGKILL)
        added.run()
        seen.run()
        wait_until(lambda: daemon.ctl("status").returncode == 0, 10)
        wait_until(
            lambda: daemon.json("summary", "--name", "added")[0]["total"]["sent_bytes"] == 2000,
            what="what was added is counted",
        )
        for each in (watch, follow):
            status, out, err = each.finish()
            assert status == 0, err
            (summary,) = [json.loads(x) for x in out.splitlines() if '"summary"' in x]
            assert summary["total"]["sent_bytes"] == 200


def test_more_than_there_is_room_for_is_told(start_daemon: StartDaemon, backend: str) -> None:
    """Of eight processes that stay, four find a place; the others are named as not counted."""
    daemon = start_daemon("--backend", backend, "--max-pids", 4)
    script = (
        "import socket, sys, ctypes\n"
        "ctypes.CDLL(None).prctl(15, b'stays', 0, 0, 0)\n"
        "a, b = socket.socketpair()\n"
        "for line in sys.stdin: a.send(b'x'); print('done', flush=True)\n"
    )
    many = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]

    def all_send() -> None:
        for each in many:
            assert each.stdin is not None
            assert each.stdout is not None
            each.stdin.write("\n")
            each.stdin.flush()
            assert each.stdout.readline() == "done\n"

    try:
        assert daemon.ctl("add", "--name", "stays").returncode == 0
        all_send()
        all_send()
        assert daemon.status()["held"] <= 4
        assert daemon.status()["lost"]["chosen_full"] > 0
    finally:
        for each in many:
            each.communicate()
    # There is room again.
    wait_until(lambda: daemon.status()["held"] == 0, what="all have exited")
    wait_until(lambda: _counted(daemon), what="the selector goes on")


def _counted(daemon: Daemon) -> bool:
    with crowd("stays", 1, 77) as another:
        another.run()
    (summary,) = daemon.json("summary", "--name", "stays")
    return any(row["sent_bytes"] == 77 for row in summary["connections"])


def test_run_counts_from_the_first_instruction(daemon: Daemon, tmp_path: Path) -> None:
    out = tmp_path / "totals.json"
    done = subprocess.run(
        [
            *daemon.command("run", "--json", "-o", out, "--", uid=None),
            *(sys.executable, str(CROWD), "", "20", "100", "double"),
        ],
        input="\n\n",
        capture_output=True,
        text=True,
        cwd=TOP,
        env=daemon.environment,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\ndone\n", "")
    assert json.loads(out.read_text())["total"]["sent_bytes"] == 2000


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (["sh", "-c", "exit 7"], 7, "Total Bytes Sent:     0 bytes"),
        (["sh", "-c", "kill -9 $$"], 137, "Total Bytes Sent:     0 bytes"),
        (["no-such-program"], 127, "netioctl: no-such-program: command not found"),
        (["/etc/passwd"], 126, "netioctl: /etc/passwd: Permission denied"),
    ],
)
def test_run_ends_as_its_program_does(
    daemon: Daemon, line: list[str], status: int, said: str
) -> None:
    done = daemon.ctl("run", "--", *line, uid=ALICE)
    assert done.returncode == status
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "no-such-name"], "no process matches --name no-such-name now; --wait waits"),
        (["--unit", "no-such-unit"], "no such unit with processes: no-such-unit; --wait waits"),
        (["--container", "no-such"], "no such container: no-such; --wait waits"),
        (["--cgroup", "/no-such"], "no such cgroup: /no-such; --wait waits"),
        (["--cgroup", "/"], "every process is below the root cgroup: --all watches all"),
        (["--user", "no-such-user"], "no such user: no-such-user"),
        (["--user", "99999999999"], "not a uid: 99999999999"),
        (["--name", ""], "--name needs the name of a program"),
    ],
)
def test_what_is_not_there_is_said(daemon: Daemon, options: list[str], said: str) -> None:
    done = daemon.ctl("watch", *options)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"netioctl: {said}")
    assert done.stderr.count("\n") == 1
