"""What netiod's processes may do is what SECURITY.md says, no more and no less."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netiod import privileges
from tests.system.conftest import (
    ALICE,
    TOP,
    Daemon,
    StartDaemon,
    StartTraffic,
    Watch,
    as_user,
    wait_until,
)
from tests.system.test_access import children

Row = dict[str, str]
_USER = "netio"
#: Capabilities by number, from the names that netiod uses.
_NAMES = {
    value: name.partition("_")[2]
    for name, value in vars(privileges).items()
    if re.fullmatch(r"CAP_[A-Z_]+", name)
}
_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def table() -> dict[str, Row]:
    """The rows of SECURITY.md's table, by process."""
    lines = (TOP / "SECURITY.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| process |"))
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[begin : lines.index("", begin)]
    ]
    return {row[0]: dict(zip(cells[0][1:], row[1:])) for row in cells[2:]}


class Process:
    """What /proc says of a process, in the table's words."""

    def __init__(self, pid: int) -> None:
        self.top = Path(f"/proc/{pid}")
        self.pid = pid
        lines = (self.top / "status").read_text().splitlines()
        self.status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def row(self) -> Row:
        """All that the table has, in its columns."""
        return {
            "user": self.user(),
            "capabilities": self.capabilities("CapEff"),
            "seccomp": {"0": "-", "2": "filter"}.get(self.status["Seccomp"].strip(), "other"),
            "no new privileges": "yes" if self.status["NoNewPrivs"].strip() == "1" else "no",
            "dumpable": self.dumpable(),
            "root directory": self.root(),
            "namespaces": self.namespaces(),
            "descriptors": " ".join(sorted(self.descriptors())),
        }

    def user(self) -> str:
        (uid,) = set(self.status["Uid"].split())
        assert set(self.status["Gid"].split()) == {str(pwd.getpwuid(int(uid)).pw_gid)}
        return pwd.getpwuid(int(uid)).pw_name

    def capabilities(self, which: str) -> str:
        mask = int(self.status[which], 16)
        numbers = [n for n in range(64) if mask >> n & 1]
        return " ".join(_NAMES.get(n, str(n)) for n in numbers) or "-"

    def dumpable(self) -> str:
        """Whether one of the same user, without capabilities, may look inside."""
        uid = self.status["Uid"].split()[0]
        read = ["cat", f"{self.top}/environ"]
        found = subprocess.run(same_user(int(uid), read), capture_output=True, check=False)
        return "no" if b"Permission denied" in found.stderr else "yes"

    def root(self) -> str:
        here = self.top / "root"
        if os.path.samestat(here.stat(), os.stat("/")):
            return "host"
        names = set(os.listdir(here))
        if not names and os.readlink(here).endswith(" (deleted)"):
            return "empty"
        if {"1", "self", str(self.pid)} <= names and not {"sys", "kallsyms", "net"} - names:
            return "all of /proc"
        left = {name for name in names if not name.isdigit()} - {"self", "thread-self"}
        return "processes" if "1" in names and not left else "other"

    def namespaces(self) -> str:
        differ = [
            kind
            for kind in _KINDS
            if (self.top / "ns" / kind).exists()
            and os.readlink(self.top / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")
        ]
        return f"own {' '.join(differ)}" if differ else "host"

    def descriptors(self) -> set[str]:
        found = set()
        for link in (self.top / "fd").iterdir():
            try:
                target = os.readlink(link)
            except FileNotFoundError:
                continue
            if int(link.name) > 2:
                found.add(self._kind(link, target))
        return found

    @staticmethod
    def _kind(link: Path, target: str) -> str:
        if target.startswith("socket:"):
            return "socket"
        if target.startswith("anon_inode:"):
            # Before 6.15 raw tracepoints and cgroups have links of one name, too.
            return target.partition(":")[2].strip("[]").replace("bpf-link", "bpf_link")
        if target.startswith("/memfd:netio-"):
            return target.partition("-")[2].partition(" ")[0]
        if target.endswith("/netiod.lock"):
            return "lock"
        if target == "/" and (link / "self").is_symlink():
            return "proc"
        return Path(target).name


def given(capabilities: str) -> set[str]:
    """Of these, what root has here: a container may lack some."""
    own = Process(os.getpid()).capabilities("CapBnd").split()
    return set(capabilities.split()) & set(own)


def same_user(uid: int, command: list[str]) -> list[str]:
    """`command` as a user whom no capability helps."""
    return [*as_user(uid)[:-1], "--bounding-set=-all", "--inh-caps=-all", "--", *command]


def compare(process: Process, row: Row, *, bounding: bool) -> None:
    """Fails unless the process is as `row` says in every column."""
    found, said = process.row(), dict(row)
    kinds = said.pop("descriptors").split()
    open_kinds = set(found.pop("descriptors").split())
    said["capabilities"] = " ".join(given(said["capabilities"])) or "-"
    assert {k: sorted(v.split()) for k, v in found.items()} == {
        k: sorted(v.split()) for k, v in said.items()
    }
    if kinds != ["any"]:
        assert {k for k in kinds if not k.startswith("(")} <= open_kinds
        assert open_kinds <= {k.strip("()") for k in kinds}
    caps = process.capabilities
    assert caps("CapPrm") == found["capabilities"]
    assert caps("CapBnd") == (found["capabilities"] if bounding else "-")
    assert (caps("CapInh"), caps("CapAmb")) == ("-", "-")
    assert process.status["Groups"].strip() == "" or process.user() == "root"


@pytest.fixture
def watched(daemon: Daemon, traffic: StartTraffic) -> Iterator[Daemon]:
    """A daemon with every kind of process that stays."""
    one = traffic("stream", 10, uid=ALICE)
    watch = Watch(daemon, one.pid, uid=ALICE).wait_ready()
    wait_until(lambda: "netiod-loader" not in children(daemon.process.pid))
    yield daemon
    watch.finish()


def test_the_table_is_true(watched: Daemon) -> None:
    rows, found = table(), children(watched.process.pid)
    assert set(found) == {"netiod-broker", "netiod-gate"}
    old = any("CAP_BPF" in text for text in watched.status()["privileges"])
    demand = any(" on demand" in line or "sys_enter" in line for line in watched.log.splitlines())
    supervisor = "supervisor with hooks on demand" if demand else "supervisor"
    compare(Process(watched.process.pid), rows[supervisor], bounding=True)
    broker = "broker before Linux 5.19" if old else "broker"
    compare(Process(found["netiod-broker"]), rows[broker], bounding=False)
    compare(Process(found["netiod-gate"]), rows["gate"], bounding=False)


@pytest.mark.parametrize(
    ("options", "row"),
    [
        (("--no-splice",), "supervisor"),
        (("--backend", "syscall"), "supervisor with hooks on demand"),
    ],
)
def test_what_hooks_on_demand_need_is_kept_for_them_alone(
    start_daemon: StartDaemon, traffic: StartTraffic, options: tuple[str, ...], row: str
) -> None:
    daemon = start_daemon(*options)
    compare(Process(daemon.process.pid), table()[row], bounding=True)
    # They can be attached after everything else was given up.
    one = traffic("tcp")
    watch = Watch(daemon, "--json", "--summary", one.pid).wait_ready()
    said = one.run()
    assert watch.objects()[-1]["total"]["sent_bytes"] == said["sent"]


def test_the_loader_gives_up_what_it_can(start_daemon: StartDaemon) -> None:
    seen: list[tuple[str, Row, str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for pid in newest():
                try:
                    process = Process(pid)
                    parent = Process(int(process.status["PPid"]))
                except (OSError, KeyError, ValueError):
                    continue
                # Not its child, which tries to do without privileges.
                names = process.status["Name"], parent.status["Name"]
                if names == ("netiod-loader", "netiod") and process.status["Seccomp"] == "2":
                    with contextlib.suppress(OSError):
                        where = {"namespaces": process.namespaces(), "root": process.root()}
                        caps = process.capabilities
                        seen.append((caps("CapEff"), where, caps("CapBnd")))

    def newest() -> list[int]:
        # Numbers begin anew at some point, so a new process may have a lower one.
        return [int(p) for p in os.listdir("/proc") if p.isdigit() and p not in before]

    before = set(os.listdir("/proc"))
    thread = threading.Thread(target=look)
    thread.start()
    try:
        start_daemon()
    finally:
        stop.set()
        thread.join()
    rows = table()
    said = [given(rows[name]["capabilities"]) for name in ("loader", "loader while it mounts")]
    assert [s for s in seen if set(s[0].split()) not in said] == []
    capabilities, where, bounding = seen[-1]
    assert set(capabilities.split()) == said[0]
    assert bounding == capabilities
    assert where["namespaces"] == rows["loader"]["namespaces"]
    assert where["root"] == rows["loader"]["root directory"]


_LOOK = """
import ctypes, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
print("ptrace", libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0)
for name in ("mem", "environ", "maps", "syscall"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            print(name, file.seekable())
    except PermissionError:
        print(name, False)
for name in ("fd", "map_files"):
    try:
        print(name, bool(os.listdir(f"/proc/{pid}/{name}")))
    except PermissionError:
        print(name, False)
try:
    os.readlink(f"/proc/{pid}/root")
    print("root", True)
except PermissionError:
    print("root", False)
"""


def look_inside(uid: int, pid: int) -> dict[str, str]:
    command = same_user(uid, [sys.executable, "-c", _LOOK, str(pid)])
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_no_process_of_the_same_user_looks_inside(watched: Daemon) -> None:
    uid = pwd.getpwnam(_USER).pw_uid
    found = children(watched.process.pid)
    for pid in (found["netiod-broker"], found["netiod-gate"]):
        assert set(look_inside(uid, pid).values()) == {"False"}
    # root's own files are root's; what is behind them is not.
    shut = look_inside(0, watched.process.pid)
    assert {shut[name] for name in ("ptrace", "mem", "environ", "root")} == {"False"}
    # That this was worth trying: another process of that user is open to it.
    with subprocess.Popen([*as_user(uid), "sleep", "60"]) as other:
        wait_until(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
        open_to_it = look_inside(uid, other.pid)
        other.kill()
    assert open_to_it["environ"] == open_to_it["fd"] == open_to_it["root"] == "True"


def landlock_version() -> int:
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


def test_status_tells_of_no_exception_where_there_is_none(daemon: Daemon) -> None:
    """Where the kernel lacks something, SECURITY.md's exception and no other."""
    version = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    known = (
        *(["the broker keeps CAP_BPF"] if version < (5, 19) else []),
        *([] if landlock_version() > 0 else ["the broker and the gates run without Landlock"]),
    )
    found = daemon.status()["privileges"]
    assert len(found) == len(known)
    for text, beginning in zip(found, known):
        assert text.startswith(beginning)


def test_each_process_imports_and_opens_nothing_late(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    """What Python reads late it would not find: an audit hook tells of every attempt."""
    setup = (
        "import os, re, sys\n"
        "def hook(event, args):\n"
        "    if os.getuid() and event in ('import', 'open'):\n"
        "        path = str(args[0])\n"
        # Landlock's one rule, and /PID, with what is below it.
        "        if event == 'import' or not re.fullmatch(r'/|/\\d+(/\\w+)?|stat|status', path):\n"
        "            os.write(2, f'LATE {event} {path}\\n'.encode())\n"
        "sys.addaudithook(hook)\n"
    )
    daemon = start_daemon(setup=f"exec({setup!r})")
    one = traffic("stream", 50, uid=ALICE)
    watch = Watch(daemon, "--wide", one.pid, uid=ALICE).wait_ready()
    one.run()
    for verb in (["list"], ["status"], ["summary", one.pid], ["add", one.pid], ["add", 999999]):
        daemon.ctl(*verb)
    with daemon.connect() as client:
        client.sendall(b'\xff\n{"jsonrpc":"2.0","id":1,"method":"no"}\n')
        client.recv(1000)
    one.end()
    watch.finish(None)
    late = [line for line in daemon.log.splitlines() if line.startswith("LATE ")]
    assert late == []


def test_the_unit_is_as_closed_as_security_md_says(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (TOP / "systemd" / "netiod.service").read_text()
    unit = tmp_path / "netiod.service"
    unit.write_text(text.replace("/usr/sbin/netiod", "/bin/true"))

    def analyze(*words: str) -> str:
        command = ["systemd-analyze", *words, str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    assert analyze("verify") == ""
    found = re.search(r"exposure level.*: (\d+\.\d)", analyze("security", "--offline=true"))
    said = re.search(r"rates it (\d+\.\d)", (TOP / "SECURITY.md").read_text())
    assert found is not None
    assert said is not None
    # Other versions of systemd weigh otherwise, by a little.
    assert abs(float(found[1]) - float(said[1])) <= 0.3
