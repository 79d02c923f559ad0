"""How the kernel is hooked: what is missing is named, and nobody pays for what nobody needs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netioctl.client import Client
from tests.system.conftest import CACHE, TOP, StartDaemon, StartTraffic, needs_kprobes, wait_until

#: Loads in a process of its own, which ends with what was attached, after `setup`.
_LOAD = """
import json, os, sys
from dataclasses import replace
from netioctl.wire.errors import NetioError
from netiod import backends, loader, settings, words

def rename(point, new):
    '''Have all back-ends look for `point` under a name that no kernel has.'''
    def hook(each):
        return replace(each, point=new) if each.point == point else each
    def way(each):
        return replace(each, hooks=tuple(map(hook, each.hooks)))
    def part(each):
        return replace(each, ways=tuple(map(way, each.ways)))
    backends.BACKENDS = tuple(
        replace(each, parts=tuple(map(part, each.parts))) for each in backends.BACKENDS
    )

{setup}
try:
    chosen = settings.Settings(backend={backend!r}, cache_dir={cache!r})
    info, _ = loader.load(chosen, lambda _: None, words.Words())
    print(json.dumps(info["backend"]), flush=True)
except NetioError as error:
    print(json.dumps(dict(error=str(error))), flush=True)
os._exit(0)
"""


def load(setup: str, backend: str = "auto") -> dict[str, Any]:
    """What `status` would say of the back-end, or {"error": ...}."""
    code = _LOAD.format(setup=setup, backend=backend, cache=CACHE.name)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_tracepoint_that_was_renamed_is_named_and_another_back_end_taken() -> None:
    found = load("rename('sock_send_length', 'gone'); rename('sock:sock_send_length', 'sock:gone')")
    assert found["name"] != "tracepoint"
    (why,) = (each["why"] for each in found["rejected"] if each["backend"] == "tracepoint")
    assert "gone" in why or "no tracepoint" in why


def test_a_back_end_that_was_asked_for_by_name_says_what_is_missing() -> None:
    found = load("rename('sys_exit', 'gone'); rename('raw_syscalls:sys_exit', 'x:gone')", "syscall")
    assert "gone" in found["error"]


def test_a_function_that_was_renamed_is_named_with_what_it_costs() -> None:
    needs_kprobes()
    found = load("rename('sock_recvmsg', 'sock_recvmsg_gone')", "kprobe")
    assert found["missing"] == [
        {
            "hook": "kretprobe sock_recvmsg_gone",
            "why": "this kernel has no such function; not seen: receives by io_uring, and senders "
            "of datagrams",
        }
    ]
    assert "receives by io_uring, and senders of datagrams" in found["blind"]
    assert "kprobe sock_recvmsg_gone" not in found["hooks"]


@pytest.mark.parametrize(
    ("setup", "hooks"),
    [("", 4), ("rename('syscalls:sys_exit_splice', 'syscalls:gone')", 2)],
    ids=["their own", "all"],
)
def test_without_kprobes_on_splice_system_calls_are_hooked_for_it(setup: str, hooks: int) -> None:
    found = load(f"rename('sock_splice_read', 'gone'); {setup}", "tracepoint")
    if "error" in found:
        pytest.skip(found["error"])
    assert len(found["on_demand"]) == hooks
    assert not [each for each in found["missing"] if "splice" in each["why"]]


def test_hooks_that_have_just_been_given_up_come_back(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    """The kernel lets go of a program some time after its event was closed."""
    daemon = start_daemon()
    one = traffic("splice")
    with Client(daemon.run_dir) as client:
        for _ in range(20):
            client.add([one.pid])
            client.remove([one.pid])
        client.add([one.pid])
        one.run()
        assert client.summary([one.pid]).total.recv_bytes == 1234
    assert "cannot be attached again" not in daemon.log


def test_nobody_pays_for_system_calls_while_nothing_is_held(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon("--backend", "syscall")
    one = traffic("unix_pair")
    hooks = daemon.status()["backend"]["on_demand"]
    assert len(hooks) == 2

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

    wait_until(lambda: f"{daemon.process.pid}" and descriptors(), what="the daemon is there")
    idle = descriptors()
    for _ in range(2):
        assert daemon.ctl("add", one.pid).returncode == 0
        assert descriptors() == idle + len(hooks)
        assert daemon.ctl("remove", one.pid).returncode == 0
        wait_until(lambda: descriptors() == idle, what="the hooks are gone")
    daemon.ctl("add", one.pid)
    said = one.run()
    total = daemon.summary(one.pid)["total"]
    assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])


@pytest.mark.parametrize("options", [(), ("--no-splice",)], ids=["splice", "no-splice"])
def test_splice_is_counted_unless_it_is_switched_off(
    start_daemon: StartDaemon, traffic: StartTraffic, options: tuple[str, ...]
) -> None:
    daemon = start_daemon(*options)
    one = traffic("splice")
    daemon.ctl("add", one.pid)
    said = one.run()
    assert said["recv"] == said["pipe"] == 1234
    backend = daemon.status()["backend"]
    received = daemon.summary(one.pid)["total"]["recv_bytes"]
    if options and backend["name"] == "tracepoint":
        assert received == 0
        assert backend["on_demand"] == []
        assert any("splice(2)" in text for text in backend["blind"])
    else:
        assert received == 1234


@pytest.mark.faults
def test_events_of_a_loader_whose_daemon_was_killed_are_removed(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    needs_kprobes()

    def events() -> set[str]:
        """What netiod has made in tracefs; it mounts that for itself alone."""
        place = tmp_path / "tracefs"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tracefs", "tracefs", place], check=True)
        try:
            return set(re.findall(r"/(r_\w+_netio_\d+) ", (place / "kprobe_events").read_text()))
        finally:
            subprocess.run(["umount", place], check=True)

    before = events()
    first = start_daemon("--backend", "kprobe")
    made = events() - before
    assert made
    for process in first.status()["processes"]:
        os.kill(process["pid"], signal.SIGKILL)
    first.process.wait()
    second = start_daemon("--backend", "kprobe")
    left = events()
    assert not made & left
    assert left - before
    second.stop()


def test_returns_that_find_no_room_are_told_and_their_threads_heal(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    needs_kprobes()
    setup = "from netiod import attach; attach.MAXACTIVE = 8"
    daemon = start_daemon("--backend", "kprobe", setup=setup)
    one = traffic("blocked", 100)
    daemon.ctl("add", one.pid)
    said = one.run()
    summary = daemon.summary(one.pid)
    total, missed = summary["total"], daemon.status()["lost"]["missed"]
    assert total["sent_bytes"] == said["sent"]
    # Of the first round some were missed, each with 10 bytes; of the second none.
    assert missed >= 50
    assert total["recv_bytes"] == said["recv"] - 10 * missed
    assert total["recv_ops"] == 200 - missed
    assert summary["complete"] is False
    assert summary["missed"] == missed
