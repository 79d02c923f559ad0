"""A process that becomes another user's while it is held: its owner of before is let go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl.wire import frames
from tests.system.conftest import ALICE, BOB, TOP, Daemon, StartDaemon, as_user, wait_until

#: Sends as many bytes as a line on standard input says; "become" changes the user first.
SENDER = """
import os, socket, sys
a, b = socket.socketpair()
print("ready", flush=True)
for line in sys.stdin:
    what, *rest = line.split()
    if what == "become":
        os.setresuid(*map(int, rest))
    elif what == "exec":
        os.execv(rest[0], [rest[0], "-c", rest[1]])
    else:
        a.send(b"x" * int(what))
        b.recv(1 << 17)
    print("done", flush=True)
"""


class Sender:
    """SENDER as Alice, with the capability to become someone else."""

    def __init__(self, *options: str) -> None:
        start = ["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", *options]
        self.process = subprocess.Popen(
            [*start, "--", sys.executable, "-c", SENDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self.pid = self.process.pid
        self._expect("ready\n")

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._expect("done\n")

    def _expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def sender() -> Iterator[Sender]:
    made = Sender("--inh-caps=+setuid", "--ambient-caps=+setuid")
    yield made
    made.end()


class Control:
    """A control connection of some user, held by a process of theirs."""

    _CODE = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sock_in = s.makefile("rb")
for line in sys.stdin:
    if line.strip():
        s.sendall(line.encode())
    print(sock_in.readline().decode(), end="", flush=True)
"""

    def __init__(self, daemon: Daemon, uid: int | None) -> None:
        path = str(daemon.run_dir / "control.sock")
        self._process = subprocess.Popen(
            [*as_user(uid), sys.executable, "-c", self._CODE, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self._ident = 0

    def ask(self, method: str, *pids: int, **params: Any) -> dict[str, Any]:
        """The result; notifications before it are passed over."""
        self._ident += 1
        if pids:
            params["pids"] = list(pids)
        request = {"jsonrpc": "2.0", "id": self._ident, "method": method, "params": params}
        line = json.dumps(request)
        while True:
            answer = self.next(line)
            if answer.get("id") == self._ident:
                found: dict[str, Any] = answer["result"]
                return found
            line = ""

    def next(self, line: str = "") -> dict[str, Any]:
        """What comes next."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def alice(daemon: Daemon) -> Iterator[Control]:
    made = Control(daemon, ALICE)
    yield made
    made.close()


class Listener:
    """All that Alice's gate sends."""

    def __init__(self, endpoint: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVTIMEO, 300)
        self._socket.subscribe(b"")
        self._socket.connect(endpoint)

    def events(self) -> int:
        """Events in the frames that come until it is quiet."""
        import zmq

        count = 0
        while True:
            try:
                frame = self._socket.recv()
            except zmq.Again:
                return count
            count += frames.unpack(frame, 32)[0].events

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@pytest.fixture
def listen() -> Iterator[Any]:
    made: list[Listener] = []

    def start(endpoint: str) -> Listener:
        made.append(Listener(endpoint))
        return made[-1]

    yield start
    for one in made:
        one.close()


#: How the process becomes another's: all uids, the real one alone, the saved one alone.
CHANGES = {
    "all": f"become {BOB} {BOB} {BOB}",
    "real": f"become {BOB} {ALICE} {ALICE}",
    "saved": f"become {ALICE} {ALICE} {BOB}",
    "root": "become 0 0 0",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_process_that_becomes_anothers_is_revoked(
    daemon: Daemon, alice: Control, sender: Sender, change: str
) -> None:
    pid = sender.pid
    assert alice.ask("watch", pid)["errors"] == []
    alice.ask("add", pid)
    sender.tell("100")
    began = time.monotonic()
    sender.tell(CHANGES[change])
    told = alice.next()
    assert told["method"] == "revoked"
    assert told["params"]["pid"] == pid
    assert "another user" in told["params"]["reason"]
    assert time.monotonic() - began < 1.5
    sender.tell("777")
    for verb in ("watch", "add", "remove", "summary"):
        (error,) = alice.ask(verb, pid)["errors"]
        assert error["code"] == -32001
        assert error["message"] == f"no process {pid} that you may watch"
    assert alice.ask("sync", pid)["published"] == {}
    # Nobody holds it any more.
    assert daemon.json("list") == []
    assert f"detach uid={ALICE}" in daemon.log
    assert "why=revoked" in daemon.log


def test_not_one_event_of_the_new_user_reaches_the_old(
    daemon: Daemon, alice: Control, sender: Sender, listen: Any
) -> None:
    listener = listen(alice.ask("watch", sender.pid)["endpoint"])
    wait_until(lambda: (sender.tell("1"), listener.events())[1], 10, "the stream has begun")
    sender.tell("100")
    assert listener.events() == 2
    sender.tell(CHANGES["all"])
    for _ in range(50):
        sender.tell("3")
    assert listener.events() == 0
    assert daemon.status()["held"] == 0


def test_what_an_operator_holds_too_stays_theirs_alone(
    daemon: Daemon, alice: Control, sender: Sender
) -> None:
    daemon.ctl("add", sender.pid)
    assert alice.ask("watch", sender.pid)["errors"] == []
    sender.tell("100")
    sender.tell(CHANGES["all"])
    assert alice.next()["method"] == "revoked"
    sender.tell("1000")
    assert daemon.summary(sender.pid)["total"]["sent_bytes"] == 1100
    # Nor is what Alice's process did Bob's to see.
    assert daemon.json("list", uid=BOB) == []
    assert daemon.ctl("summary", sender.pid, uid=BOB).returncode == 1


def test_totals_after_the_exit_are_not_the_old_owners(
    daemon: Daemon, alice: Control, sender: Sender
) -> None:
    alice.ask("add", sender.pid)
    daemon.ctl("add", sender.pid)
    sender.tell("100")
    sender.tell(CHANGES["all"])
    sender.tell("1000")
    # At once, before anything has looked at it again. It stays a zombie for a moment.
    os.kill(sender.pid, 9)
    wait_until(lambda: all(row["exited"] for row in daemon.json("list")), what="the exit is seen")
    (error,) = alice.ask("summary", sender.pid)["errors"]
    assert error["code"] == -32001
    assert alice.ask("list")["count"] == 0


def test_a_set_uid_program_is_seen_when_it_is_run(alice: Control, tmp_path: Path) -> None:
    program = tmp_path / "set-uid"
    shutil.copy(Path(sys.executable).resolve(), program)
    os.chown(program, BOB, BOB)
    program.chmod(0o4755)
    if os.statvfs(tmp_path).f_flag & os.ST_NOSUID:
        pytest.skip("set-uid programs have no effect here")
    sender = Sender()
    try:
        assert alice.ask("watch", sender.pid, stream=False)["errors"] == []
        began = time.monotonic()
        sender.tell(f"exec {program} print('done',flush=True);input()")
        assert alice.next()["method"] == "revoked"
        # A new name is looked at within 20 ms; a program that starts takes longer than that.
        assert time.monotonic() - began < 0.5
    finally:
        sender.end()


def test_a_new_name_alone_revokes_nothing(alice: Control) -> None:
    sender = Sender()
    try:
        alice.ask("watch", sender.pid)
        sender.tell(f"exec {sys.executable} print('done',flush=True);input()")
        time.sleep(1.2)
        assert alice.ask("list")["count"] == 1
    finally:
        sender.end()


def test_root_in_a_user_namespace_is_no_operator(daemon: Daemon) -> None:
    unshare = ["unshare", "--user", "--map-root-user", "--"]
    command = [*as_user(ALICE), *unshare, *daemon.command("add", "1")]
    done = subprocess.run(
        command, cwd=TOP, env=daemon.environment, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip("users may make no namespaces here")
    assert done.returncode == 1
    assert daemon.json("list") == []


def test_a_process_in_a_user_namespace_is_whose_uid_it_has_outside(daemon: Daemon) -> None:
    # "root" inside is Alice outside; a uid of a range that is mapped for her is not hers.
    code = "import os; print(os.getuid(), flush=True); input()"
    unshare = ["unshare", "--user", "--map-root-user", "--"]
    command = [*as_user(ALICE), *unshare, sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        if child.stdout.readline() != b"0\n":
            pytest.skip("users may make no namespaces here")
        assert daemon.ctl("add", child.pid, uid=BOB).returncode == 1
        assert daemon.ctl("add", child.pid, uid=ALICE).returncode == 0
        assert [row["pid"] for row in daemon.json("list", uid=ALICE)] == [child.pid]
        child.stdin.close()


#: netiod with a /proc of its own, in a mount namespace of its own: nobody else sees that.
HIDE = (
    "import ctypes, os; c = ctypes.CDLL(None, use_errno=True);"
    "assert not c.unshare(0x20000) and not c.mount(None, b'/', None, 1 << 14 | 1 << 18, None);"
    "assert not c.mount(b'proc', b'/proc', b'proc', 0, b'hidepid={hidepid}')"
)


@pytest.mark.parametrize("hidepid", [1, 2])
def test_a_proc_that_hides_hides_nothing_from_netiod(
    start_daemon: StartDaemon, hidepid: int
) -> None:
    daemon = start_daemon(setup=HIDE.format(hidepid=hidepid))
    sender = Sender()
    try:
        assert "hidepid" not in daemon.log
        assert daemon.ctl("add", sender.pid, uid=ALICE).returncode == 0
        # The rules are netio's own.
        assert daemon.ctl("add", sender.pid, uid=BOB).returncode == 1
    finally:
        sender.end()


@pytest.mark.parametrize("hidepid", [1, 2])
def test_where_it_does_that_is_told(start_daemon: StartDaemon, hidepid: int) -> None:
    # Where netiod can mount no /proc of its own, as in some containers.
    none = "; import netiod.mounts as m; m.processes = lambda: None"
    daemon = start_daemon(setup=HIDE.format(hidepid=hidepid) + none)
    lines = [line for line in daemon.log.splitlines() if "hidepid" in line]
    assert len(lines) == 1
    assert "gid=" in lines[0]
    for uid in (None, ALICE):
        (status,) = daemon.json("status", uid=uid)
        assert any("hidepid" in text for text in status["backend"]["blind"])
    assert "hidepid" in daemon.ctl("status").stdout
    # One line, no traceback, for a process that cannot be seen.
    refused = daemon.ctl("add", os.getpid())
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1


def test_a_proc_that_hides_nothing_is_not_told(daemon: Daemon) -> None:
    assert "hidepid" not in daemon.log
    assert not any("hidepid" in text for text in daemon.status()["backend"]["blind"])


def test_a_refusal_takes_as_long_whether_or_not_the_process_exists(alice: Control) -> None:
    others, nobodys = (os.getpid(),), (4_194_304,)
    times: dict[str, list[float]] = {"other": [], "nobody": []}
    for _ in range(300):
        for name, (pid,) in (("other", others), ("nobody", nobodys)):
            began = time.perf_counter()
            (error,) = alice.ask("summary", pid)["errors"]
            times[name].append(time.perf_counter() - began)
            assert error["message"] == f"no process {pid} that you may watch"
    other, nobody = (sorted(found)[len(found) // 2] for found in times.values())
    # What is measured is mostly the way there and back; the look at /proc takes 20 us of it.
    assert 0.8 < other / nobody < 1.25, (other, nobody)
