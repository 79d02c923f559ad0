"""What broker and gates see once they have confined themselves."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netiod import confine, landlock, logs, mounts, privileges, processes, seccomp
from tests.unit.test_privileges import in_child, nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

CAP_SYS_CHROOT = 18


def as_broker(body: Callable[[], object]) -> str:
    def confined() -> object:
        confine.as_broker(nobody(), (), os.getppid())
        return body()

    return str(in_child(confined))


@pytest.fixture
def run_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="netio-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def as_gate(run_dir: Path, body: Callable[[], object]) -> str:
    def confined() -> object:
        confine.as_gate(nobody(), str(run_dir), os.getppid())
        return body()

    return str(in_child(confined))


def has_landlock() -> bool:
    def body() -> bool:
        privileges.close_off()
        return landlock.restrict(None)

    return in_child(body) == "True"


def test_the_broker_sees_every_process_and_nothing_else() -> None:
    def body() -> list[object]:
        own = processes.read(os.getpid())
        init = processes.read(1)
        return [
            own is not None and own.pid == os.getpid(),
            init is not None and init.uids[0] == 0,
            processes.usage(1) is not None,
            (processes.pss(os.getpid()) or 0) > 0,
            [os.path.exists(p) for p in ("/etc/passwd", "/usr", "/proc", "/../etc", "/self/stat")],
        ]

    assert as_broker(body) == "[True, True, True, True, [False, False, False, False, True]]"


def test_a_proc_of_its_own_has_processes_alone() -> None:
    def body() -> object:
        proc = mounts.processes()
        assert proc is not None
        confine.as_broker(nobody(), (), os.getppid(), proc)
        init = processes.read(1)
        return [
            init is not None and init.uids[0] == 0,
            [os.path.exists(p) for p in ("/sys", "/kallsyms", "/version", "/../etc", "/self/stat")],
        ]

    assert str(in_child(body)) == "[True, [False, False, False, False, True]]"


def test_the_broker_reads_nothing_through_a_directory_that_somebody_else_opened() -> None:
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)

    def body() -> bytes:
        return os.read(os.open("etc/hostname", os.O_RDONLY, dir_fd=top), 10)

    child = os.fork()
    if child == 0:
        confine.as_broker(nobody(), (), os.getppid())
        try:
            body()
        except PermissionError:
            os._exit(0)
        os._exit(1)
    os.close(top)
    assert os.waitpid(child, 0)[1] == 0


def test_a_gate_opens_nothing_and_can_make_nothing(run_dir: Path) -> None:
    for path, flags in (("/etc/passwd", os.O_RDONLY), ("/", os.O_RDONLY), ("x", os.O_CREAT)):
        assert as_gate(run_dir, lambda p=path, f=flags: os.open(p, f)) == "PermissionError"  # type: ignore[misc]
    # Its root directory is gone.
    assert list(run_dir.iterdir()) == []


def test_log_records_and_tracebacks_come_out_as_before(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    formatter = logs.LineFormatter()

    def body() -> str:
        record = logging.LogRecord(logs.AUDIT, logging.INFO, "", 0, "a\x1b\udcff", (), None)
        record.created = 1.0
        try:
            undefined_name  # type: ignore[name-defined] # noqa: B018
        except NameError:
            record.exc_info = sys.exc_info()
        lines = formatter.format(record).splitlines()
        return f"{lines[0]} {lines[-1]}"

    def plain() -> str:
        return body()

    expected = in_child(plain)
    assert "NameError: name 'undefined_name' is not defined" in str(expected)
    assert as_broker(body) == expected
    assert as_gate(run_dir, body) == expected


def test_local_time_stays_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")

    def body() -> str:
        return time.strftime("%z", time.localtime(1e9))

    assert as_broker(body) == "+0545"


def test_the_systems_time_zone_is_read_before_it_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TZ", raising=False)

    def body() -> str:
        return os.environ["TZ"] + time.strftime(" %z", time.localtime(1e9))

    assert as_broker(body) == ":/etc/localtime" + time.strftime(" %z", time.localtime(1e9))


def test_it_works_without_the_right_to_another_root_and_says_so(run_dir: Path) -> None:
    """As root of a container that has been given little else than BPF."""

    def without(enter: Callable[[], None]) -> Callable[[], object]:
        def body() -> object:
            everything = privileges.capabilities()
            privileges.reduce(everything - {CAP_SYS_CHROOT})
            enter()
            return [*confine.exceptions(), processes.read(os.getpid()) is not None]

        return body

    def broker() -> None:
        confine.as_broker(nobody(), (), os.getppid())

    found = str(in_child(without(broker)))
    assert "see the whole file system, because netiod lacks CAP_SYS_CHROOT" in found
    assert found.endswith("True]")
    if has_landlock():
        assert "Landlock keeps them from reading it" in found

    def gate() -> None:
        confine.as_gate(nobody(), str(run_dir), os.getppid())
        with pytest.raises(PermissionError):
            os.open("/etc/passwd", os.O_RDONLY)

    assert "CAP_SYS_CHROOT" in str(in_child(without(gate)))


def test_kernels_without_filters_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_HAS_FILTERS", "/absent")
    monkeypatch.setattr(landlock, "restrict", lambda _readable: False)

    def body() -> str:
        return f"{confine.exceptions()} {socket.socket().family:d}"

    found = as_broker(body)
    assert "may make any system call: this kernel has no filters" in found
    assert "without Landlock" in found
    assert found.endswith(" 2")


def test_nothing_to_tell_where_the_kernel_has_all() -> None:
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    assert as_broker(confine.exceptions) == "[]"


def test_a_missing_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "LIBRARY", "libabsent.so.0")
    seccomp._library.cache_clear()
    try:
        assert as_broker(os.getpid) == "OSError"
    finally:
        seccomp._library.cache_clear()


@pytest.mark.parametrize("version", range(1, 8))
def test_each_version_of_landlock_is_asked_for_what_it_knows(
    monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    asked: list[int] = []

    class Libc:
        def syscall(self, number: int, *arguments: object) -> int:
            if number == 444 and arguments[0] is None:
                return version
            if number == 444:
                asked.append(int(arguments[1]))  # type: ignore[call-overload]
            return os.open("/dev/null", os.O_RDONLY) if number == 444 else 0

    monkeypatch.setattr(landlock, "_libc", Libc())
    assert landlock.restrict(None)
    # Bytes of struct landlock_ruleset_attr.
    assert asked == [{1: 8, 2: 8, 3: 8, 4: 16, 5: 16}.get(version, 24)]


def test_a_landlocked_process_reaches_no_other_of_its_user() -> None:
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)

    def body() -> list[str]:
        privileges.drop(nobody())
        landlock.restrict("/proc")
        found = []
        for what in (lambda: os.kill(other, 0), lambda: os.readlink(f"/proc/{other}/root")):
            try:
                what()
                found.append("reached")
            except PermissionError:
                found.append("refused")
        return found

    account = nobody()
    # Unlike netiod's, this one can be looked into by others of its user.
    other = os.fork()
    if other == 0:
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        os.execv("/usr/bin/sleep", ["sleep", "60"])
    try:
        while Path(f"/proc/{other}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        assert in_child(body) == str(["refused" if version >= 6 else "reached", "refused"])
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)
