"""Run in the guest, as root, by systemd: netiod installed, used, killed, restarted, removed.

Each step says what it is about to show; the first that does not hold ends all with a traceback.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

TOP = Path(__file__).resolve().parents[2]
#: Moves datagrams of 64 bytes over a socketpair until it is told to stop; then says how many.
_TRAFFIC = """
import select, socket, sys, time
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
count = 0
print("ready", flush=True)
sys.stdin.readline()
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(20):
        a.send(b"x" * 64)
        b.recv(100)
        count += 1
    time.sleep(0.002)
print(count, flush=True)
sys.stdin.readline()
sys.stdin.readline()
"""
#: Seconds that something may take in an emulated machine.
_PATIENCE = 60.0


def say(text: str) -> None:
    """What is shown next."""
    print(f"[{time.monotonic():6.1f}] {text}", flush=True)


def run(*command: Any, user: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
    """A command, as `user`, that succeeds unless `ok` is false."""
    words = [*(["runuser", "-u", user, "--"] if user else []), *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    if ok and done.returncode:
        fail(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def fail(text: str) -> NoReturn:
    """End, with all that netiod has logged."""
    command = ["journalctl", "-u", "netiod", "-o", "cat"]
    log = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    raise SystemExit(f"{text}\n-- netiod's log\n{log}")


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    log = run("journalctl", "-u", "netiod", "-u", "netio-exporter").stdout
    raise SystemExit(f"not so after {_PATIENCE:.0f} s: {what}\n{log}")


class Traffic:
    """A process of `user` that moves datagrams."""

    def __init__(self, user: str) -> None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
        self._process = subprocess.Popen(
            [*command, sys.executable, "-c", _TRAFFIC],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.pid = self._process.pid

    def tell(self) -> None:
        """Start, stop, end."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def count(self) -> int:
        """Stop it; how many datagrams it has moved."""
        self.tell()
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def end(self) -> None:
        """Let it exit."""
        self._process.communicate("\n\n")


def status() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("netioctl", "status", "--json").stdout)
    return found


def total(pid: int) -> dict[str, int]:
    found: dict[str, int] = json.loads(run("netioctl", "summary", "--json", pid).stdout)["total"]
    return found


def main_pid() -> int:
    return int(run("systemctl", "show", "-P", "MainPID", "netiod").stdout)


def process_of(role: str) -> int | None:
    """The PID of netiod's process of that role."""
    found = (p["pid"] for p in status()["processes"] if p["role"].startswith(role))
    return next(found, None)


def serves() -> bool:
    return run("netioctl", "list", ok=False).returncode == 0


def scrape() -> str:
    """What the exporter serves; empty while it does not."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:19099/metrics", timeout=30) as answer:
            found: str = answer.read().decode()
            return found
    except OSError:
        return ""


def files() -> set[str]:
    """What there is where installations leave something."""
    found: set[str] = set()
    for top in ("/usr", "/etc", "/var/lib", "/run/netio"):
        for directory, names, leaves in os.walk(top):
            names[:] = [name for name in names if name != "__pycache__"]
            found.update(os.path.join(directory, name) for name in (*names, *leaves))
    return {path for path in found if not re.search(r"/etc/(passwd|group|g?shadow)-?$", path)}


def main() -> None:
    # Made with the root file system; the installation makes its own.
    run("userdel", "netio", ok=False)
    run("useradd", "-m", "alice")
    run("useradd", "-m", "bob")
    # An emulated machine is slow; and if it fails, the log should say how far it came.
    drop_in = Path("/etc/systemd/system/netiod.service.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(
        "[Service]\nExecStart=\nExecStart=/usr/sbin/netiod -v\nTimeoutStartSec=180\n"
    )
    before = files()

    say("install, and the service is active")
    run(TOP / "netio", "install")
    assert run("systemctl", "is-active", "netiod").stdout == "active\n"
    assert run("systemctl", "is-enabled", "netiod").stdout == "enabled\n"
    until(serves, "it serves")
    backend = status()["backend"]
    say(f"back-end {backend['name']}, not used: {backend['rejected']}, {backend['missing']}")
    # The most exact one that this kernel has: what the unit forbids must not be in its way.
    assert backend["name"] == "kprobe", backend

    say("an ordinary user watches a process of theirs, and nobody else's")
    one = Traffic("alice")
    one.tell()
    watch = run("netioctl", "watch", "--duration", "3", one.pid, user="alice")
    assert re.search(r"SEND .*python3 .*64 bytes", watch.stdout), watch.stdout + watch.stderr
    assert "SUMMARY STATISTICS" in watch.stdout
    refused = run("netioctl", "watch", "--duration", "1", one.pid, user="bob", ok=False)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    run("netioctl", "add", one.pid, user="alice")

    say("the exporter, as a user of its own in the group, serves what all users hold")
    assert run("systemctl", "is-enabled", "netio-exporter", ok=False).stdout == "disabled\n"
    run("systemctl", "start", "netio-exporter")
    metrics = until(scrape, "the exporter serves")
    assert "\nnetio_up 1.0\n" in metrics, metrics
    own = re.search(rf'\nnetio_process_sent_bytes_total.*pid="{one.pid}".*', metrics)
    assert own, metrics
    # Who is no operator is not told, and who may not read /proc does not know.
    assert 'netio_lost_events_total{stage="daemon"}' in metrics, metrics
    assert 'unit="netio-test.service",user="alice"' in own[0], own[0]
    assert float(own[0].split()[-1]) > 0, own[0]
    log = run("systemctl", "stop", "netio-exporter") and run("journalctl", "-u", "netio-exporter")
    assert "Deactivated successfully" in log.stdout, log.stdout
    run("systemctl", "start", "netio-exporter")
    one.end()

    say("each process is killed; it comes back, and totals are unbroken")
    two = Traffic("alice")
    run("netioctl", "add", two.pid)
    two.tell()
    viewer = subprocess.Popen(
        ["runuser", "-u", "alice", "--", "netioctl", "watch", "--duration", "1000", str(two.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # A broker takes its gates with it, so the gate is first.
    for role in ("gate", "broker"):
        pid = until(lambda role=role: process_of(role), f"there is a {role}")
        say(f"kill -9 {role}")
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        until(serves, f"it serves after {role} was killed")
        say(f"serves after {time.monotonic() - began:.1f} s")
    say("kill -9 the supervisor")
    old = main_pid()
    os.kill(old, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: main_pid() not in (0, old) and serves(), "another supervisor serves")
    say(f"serves after {time.monotonic() - began:.1f} s")
    log = run("journalctl", "-u", "netiod", "-o", "cat").stdout
    assert "going on with the programs and totals of the netiod before" in log, log

    say("systemctl restart")
    began = time.monotonic()
    run("systemctl", "restart", "netiod")
    until(serves, "it serves after a restart")
    say(f"serves after {time.monotonic() - began:.1f} s")
    count = two.count()
    found = total(two.pid)
    say(f"{count} datagrams moved, {found}")
    assert found["send_ops"] == found["recv_ops"] == count
    assert found["sent_bytes"] == found["recv_bytes"] == 64 * count
    viewer.kill()
    viewer.wait()
    two.end()

    say("the socket unit: who asks starts the service")
    run("systemctl", "stop", "netiod")
    run("systemctl", "start", "netiod.socket")
    assert run("systemctl", "is-active", "netiod", ok=False).stdout == "inactive\n"
    # Emulated, it takes longer to start than netioctl waits for an answer.
    until(serves, "it serves who asks")
    assert run("systemctl", "is-active", "netiod").stdout == "active\n"

    say("what it did stands in the journal")
    log = run("journalctl", "-u", "netiod", "-o", "cat").stdout
    assert re.search(rf"attach.*{one.pid}", log), log
    assert "Traceback" not in log, log

    say("uninstall leaves nothing")
    print(run(TOP / "netio", "uninstall").stderr, end="")
    assert run("systemctl", "is-active", "netiod", ok=False).returncode != 0
    left = files() - before
    # What systemd itself remembers of units, users that came and went, and timers.
    left = {path for path in left if not path.startswith(("/var/lib/systemd/", "/var/lib/private"))}
    assert not left, sorted(left)
    assert "netio:" not in Path("/etc/passwd").read_text() + Path("/etc/group").read_text()
    say("all of it held")


if __name__ == "__main__":
    main()
