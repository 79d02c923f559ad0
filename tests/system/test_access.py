"""Every user sees their own processes and nobody else's; operators see all."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from netiod.privileges import CAP_BPF
from tests.accuracy.results import version
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
from tests.unit.access_list import access_list


def test_two_users_each_see_only_their_own(daemon: Daemon, traffic: StartTraffic) -> None:
    hers, his = traffic("tcp", uid=ALICE), traffic("tcp", uid=BOB)
    her_watch = Watch(daemon, "--json", "--summary", hers.pid, uid=ALICE).wait_ready()
    his_watch = Watch(daemon, "--json", "--summary", his.pid, uid=BOB).wait_ready()
    for who, own, other in ((ALICE, hers, his), (BOB, his, hers)):
        assert [row["pid"] for row in daemon.json("list", uid=who)] == [own.pid]
        for verb in ("watch", "add", "remove", "summary"):
            refused = daemon.ctl(verb, other.pid, uid=who)
            assert refused.returncode == 1
            assert len(refused.stderr.splitlines()) == 1
            assert f"process {other.pid} belongs to" in refused.stderr
    said = hers.run(), his.run()
    for watch, own, result in ((her_watch, hers, said[0]), (his_watch, his, said[1])):
        objects = watch.objects()
        assert {o["pid"] for o in objects if o["type"] == "event"} == {own.pid}
        assert objects[-1]["total"]["sent_bytes"] == result["sent"]


def test_connections_are_described_to_who_may_see_their_process(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    hers, his = traffic("tcp", uid=ALICE), traffic("tcp", uid=BOB)
    for one in (hers, his):
        daemon.ctl("add", one.pid)
        one.run()
    code = (
        "import sys; from netioctl.client import Client\n"
        "found = Client(sys.argv[1]).describe(range(4000))\n"
        "print({connection.pid for connection in found.values()})"
    )
    for uid, seen in ((ALICE, {hers.pid}), (BOB, {his.pid}), (0, {hers.pid, his.pid})):
        command = [*as_user(uid), sys.executable, "-c", code, str(daemon.run_dir)]
        done = subprocess.run(command, capture_output=True, check=True, cwd=TOP, text=True)
        assert ast.literal_eval(done.stdout) == seen


def test_root_sees_everybodys(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("tcp", uid=ALICE)
    assert daemon.ctl("add", one.pid).returncode == 0
    (row,) = daemon.json("list")
    assert (row["pid"], row["uid"], row["added_by"]) == (one.pid, ALICE, 0)
    # What root has added of hers is hers to see.
    (row,) = daemon.json("list", uid=ALICE)
    assert row["pid"] == one.pid
    assert daemon.json("list", uid=BOB) == []


def test_a_set_uid_program_is_not_its_starters(daemon: Daemon) -> None:
    # Effective and saved uid root, real uid Alice's: what a set-uid program looks like.
    code = f"import os; os.setresuid({ALICE}, 0, 0); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        refused = daemon.ctl("add", child.pid, uid=ALICE)
        child.stdin.close()
    assert refused.returncode == 1
    assert daemon.json("list") == []


def test_a_gate_lets_only_its_own_user_in(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("stream", 10, uid=ALICE)
    watch = Watch(daemon, "--json", one.pid, uid=ALICE).wait_ready()
    path = daemon.run_dir / f"gate-{ALICE}.sock"
    assert access_list(path) == f"root 6, uid {ALICE} 6, root's group 0, mask 6, others 0"
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    for uid, status in ((ALICE, 0), (BOB, 1)):
        command = [*as_user(uid), sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, check=False, cwd="/")
        assert done.returncode == status
    watch.finish()


def test_a_stream_holds_no_topic_of_others(daemon: Daemon, traffic: StartTraffic) -> None:
    hers, his = traffic("stream", 100, uid=ALICE), traffic("stream", 100, uid=BOB)
    watches = [Watch(daemon, hers.pid, uid=ALICE), Watch(daemon, his.pid, uid=BOB)]
    for watch in watches:
        watch.wait_ready()
    with zmq.Context() as context, context.socket(zmq.SUB) as everything:
        # Root may open Alice's socket: it shows what is sent into it.
        everything.connect(f"ipc://{daemon.run_dir}/gate-{ALICE}.sock")
        everything.subscribe(b"")
        everything.setsockopt(zmq.RCVTIMEO, 3000)
        first = everything.recv()
        hers.run()
        his.run()
        frames = [first]
        everything.setsockopt(zmq.RCVTIMEO, 1500)
        try:
            while len(frames) < 20:
                frames.append(everything.recv())
        except zmq.Again:
            pass
    assert {f.split(b".")[1] for f in frames} == {str(hers.pid).encode()}
    for watch in watches:
        watch.finish()


def test_members_of_the_group_are_operators(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    import grp

    group = grp.getgrnam("daemon")
    daemon = start_daemon("--group", group.gr_name)
    one = traffic("tcp", uid=ALICE)
    for groups, status in (([f"--groups={group.gr_gid}"], 0), (["--clear-groups"], 1)):
        command = ["setpriv", f"--reuid={BOB}", f"--regid={BOB}", *groups, "--"]
        done = subprocess.run(
            [*command, *daemon.command("watch", "--duration", "0.1", one.pid)],
            cwd=TOP,
            env=daemon.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
    found = access_list(daemon.run_dir / "gate-operators.sock")
    assert found == f"root 6, root's group 0, gid {group.gr_gid} 6, mask 6, others 0"


def test_the_socket_of_the_daemon_is_open_to_all_and_its_directory_to_none(
    daemon: Daemon,
) -> None:
    assert stat.S_IMODE((daemon.run_dir / "control.sock").stat().st_mode) == 0o666
    directory = daemon.run_dir.stat()
    assert (directory.st_uid, stat.S_IMODE(directory.st_mode)) == (0, 0o755)


def children(pid: int) -> dict[str, int]:
    """Name to PID of the processes of a daemon."""
    found = {}
    for task in Path("/proc").glob("[0-9]*"):
        try:
            fields = dict(
                line.split(":\t", 1) for line in (task / "status").read_text().splitlines()
            )
        except (OSError, ValueError):
            continue
        if fields["PPid"].strip() == str(pid):
            found[fields["Name"]] = int(task.name)
    return found


@pytest.mark.parametrize("name", ["netiod-broker", "netiod-gate"])
def test_who_talks_to_strangers_has_no_privileges(
    daemon: Daemon, traffic: StartTraffic, name: str
) -> None:
    one = traffic("tcp", uid=ALICE)
    watch = Watch(daemon, one.pid, uid=ALICE).wait_ready()
    pid = wait_until(lambda: children(daemon.process.pid).get(name), what=f"{name} runs")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert "0" not in fields["Uid"].split() + fields["Gid"].split()
    assert fields["Groups"].strip() == ""
    # Before Linux 5.19 the broker cannot read maps without this one.
    needs_bpf = name == "netiod-broker" and version(os.uname().release) < (5, 19)
    allowed = 1 << CAP_BPF if needs_bpf else 0
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[capabilities], 16) & ~allowed == 0
    assert int(fields["CapEff"], 16) == allowed
    assert fields["NoNewPrivs"] == "1"
    # No compiler stays resident.
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "libbcc" not in maps
    watch.finish()


def test_the_supervisor_never_holds_the_compiler(daemon: Daemon) -> None:
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    for library in ("libbcc", "libLLVM", "zmq", "numpy"):
        assert library not in maps
    # Its memory is not freed in an instant.
    wait_until(lambda: "netiod-loader" not in children(daemon.process.pid))
