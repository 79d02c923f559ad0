"""Filters of system calls, and what is left of a process under them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import mmap
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import pytest

from netiod import children, privileges, seccomp, syscalls
from netiod.seccomp import Filter, Is, Rule
from tests.unit.test_privileges import in_child

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

X86 = platform.machine() == "x86_64"
#: <asm/unistd.h>: x86-64, arm64.
CALLS = {
    "execve": (59, 221),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "socket": (41, 198),
    "clone": (56, 220),
    "kill": (62, 129),
    "memfd_create": (319, 279),
    "prctl": (157, 167),
    "seccomp": (317, 277),
}


def number(name: str) -> int:
    return CALLS[name][0 if X86 else 1]


def call(name: str, *arguments: int) -> str:
    """ "allowed", or the name of the error."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number(name), *(ctypes.c_long(a) for a in arguments))
    return "allowed" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def under(which: Callable[[], Filter], body: Callable[[], object]) -> str:
    """What `body` returns as text, or the error's name, in a child under a filter."""

    def filtered() -> object:
        seccomp.prepare()
        privileges.close_off()
        seccomp.load(which())
        return body()

    return str(in_child(filtered))


def ending(which: Callable[[], Filter], body: Callable[[], object]) -> str:
    """How a child under a filter ends that calls `body`."""

    def run() -> int:
        privileges.close_off()
        seccomp.load(which())
        body()
        return 0

    return children.describe(os.waitpid(children.fork("test", run, []), 0)[1])


both = pytest.mark.parametrize("which", [syscalls.broker, syscalls.gate])


@both
@pytest.mark.parametrize("name", sorted(set(syscalls.DEADLY.split()) & set(CALLS)))
def test_what_only_an_attack_calls_ends_the_process(which: Callable[[], Filter], name: str) -> None:
    assert ending(which, lambda: call(name, 0, 0, 0, 0, 0)) == "was killed by SIGSYS"


@both
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socket", (socket.AF_INET, socket.SOCK_STREAM, 0)),
        ("socket", (socket.AF_UNIX, socket.SOCK_STREAM, 0)),
        ("socket", (socket.AF_NETLINK, socket.SOCK_RAW, 0)),
        # Signals to others, be it with 0 for none.
        ("kill", (1, 0)),
        # fork(2), as libc does it; and a thread in a user namespace.
        ("clone", (signal.SIGCHLD, 0, 0, 0, 0)),
        ("clone", (0x10000000, 0, 0, 0, 0)),
        # PR_SET_DUMPABLE, which would open it to others again.
        ("prctl", (4, 1, 0, 0, 0)),
        ("memfd_create", (0, 0)),
        # BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_GET, BPF_MAP_GET_FD_BY_ID, BPF_LINK_CREATE.
        *(("bpf", (command, 0, 0)) for command in (0, 5, 7, 14, 28)),
    ],
)
def test_what_nobody_needs_is_refused(
    which: Callable[[], Filter], name: str, arguments: tuple[int, ...]
) -> None:
    assert under(which, lambda: call(name, *arguments)) == "EPERM"


def test_bpf_is_for_maps_that_are_there() -> None:
    # Look up, update, delete, ask, look up many: the kernel itself finds the arguments bad.
    for command in (1, 2, 3, 15, 24):
        assert under(syscalls.broker, lambda c=command: call("bpf", c, 0, 0)) != "EPERM"  # type: ignore[misc]
        assert under(syscalls.gate, lambda c=command: call("bpf", c, 0, 0)) == "EPERM"  # type: ignore[misc]
    # A command is an int: what stands above it counts neither for the kernel nor for the filter.
    assert under(syscalls.broker, lambda: call("bpf", (1 << 32) + 5, 0, 0)) == "EPERM"


@both
def test_no_memory_is_executable(which: Callable[[], Filter]) -> None:
    def readable() -> int:
        return len(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE))

    def executable() -> int:
        return len(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC))

    assert under(which, readable) == "4096"
    assert under(which, executable) == "PermissionError"


def test_files_are_read_by_the_broker_and_by_no_gate() -> None:
    def read() -> bool:
        with open("/proc/self/stat", "rb") as file:
            return bool(file.read())

    def write() -> int:
        return os.open("/proc/self/comm", os.O_WRONLY)

    def make() -> int:
        return os.open("/tmp/netio-test-never", os.O_RDONLY | os.O_CREAT)

    assert under(syscalls.broker, read) == "True"
    for body in (write, make):
        assert under(syscalls.broker, body) == "PermissionError"
    for body in (read, write, make):
        assert under(syscalls.gate, body) == "PermissionError"


@both
def test_no_child_can_be_started(which: Callable[[], Filter]) -> None:
    assert under(which, os.fork) == "PermissionError"


def test_a_gate_has_threads_and_the_broker_has_none() -> None:
    def thread() -> str:
        seen: list[str] = []
        one = threading.Thread(target=lambda: seen.append("ran"))
        one.start()
        one.join()
        return seen[0]

    assert under(syscalls.gate, thread) == "ran"
    assert under(syscalls.broker, thread) == "RuntimeError"


@both
def test_python_still_runs(which: Callable[[], Filter]) -> None:
    def body() -> str:
        logging.getLogger("netiod.test").warning("café \x1b")
        try:
            raise KeyError("why")
        except KeyError:
            text = logging.Formatter().formatException(sys.exc_info())
        time.sleep(0.001)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return f"{platform.release()} {text.splitlines()[-1]} {bytearray(1 << 22)[0]}"

    assert under(which, body) == f"{platform.release()} KeyError: 'why' 0"


@both
def test_a_crash_is_reported_as_one(which: Callable[[], Filter]) -> None:
    assert ending(which, os.abort) == "was killed by SIGABRT"


@both
def test_sockets_pass_descriptors_in(which: Callable[[], Filter]) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()

    def body() -> bytes:
        received = socket.recv_fds(theirs, 10, 1)[1][0]
        fcntl.fcntl(received, fcntl.F_GETFD)
        return os.read(received, 10)

    socket.send_fds(ours, [b"x"], [reader])
    os.write(writer, b"here")
    # in_child() closes what it is not told of.
    child = os.fork()
    if child == 0:
        privileges.close_off()
        seccomp.load(which())
        os._exit(0 if body() == b"here" else 1)
    how = children.describe(os.waitpid(child, 0)[1])
    for fd in (reader, writer):
        os.close(fd)
    ours.close()
    theirs.close()
    assert how == "ended with status 0"


@pytest.mark.skipif(not X86, reason="the other conventions of x86-64")
def test_the_other_conventions_of_the_machine_are_deadly() -> None:
    # x32: getpid with __X32_SYSCALL_BIT.
    def x32() -> None:
        ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 + 39))

    assert ending(syscalls.broker, x32) == "was killed by SIGSYS"


def test_a_filter_cannot_be_replaced() -> None:
    # SECCOMP_SET_MODE_FILTER with another program.
    assert under(syscalls.gate, lambda: call("seccomp", 1, 0, 0)) == "EPERM"


def test_a_loader_has_no_network_and_starts_nothing() -> None:
    for name, arguments in (
        ("socket", (socket.AF_INET, socket.SOCK_STREAM, 0)),
        ("execve", (0, 0, 0)),
        ("ptrace", (0, 0, 0, 0)),
        ("io_uring_setup", (1, 0)),
        ("finit_module", (0, 0, 0)),
    ):
        assert under(syscalls.loader, lambda n=name, a=arguments: call(n, *a)) == "EPERM"  # type: ignore[misc]
    assert under(syscalls.loader, lambda: call("memfd_create", 0, 0)) == "EFAULT"


def test_a_gate_changes_no_scheduling_and_hears_that_it_did() -> None:
    def body() -> str:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return str(os.sched_getscheduler(0))

    assert under(syscalls.gate, body) == str(os.SCHED_OTHER)


def test_what_is_unknown_is_passed_over() -> None:
    nothing = Filter(errno.EPERM, (*syscalls.broker().allowed, Rule("no_such_call")))
    assert under(lambda: nothing, os.getpid).isdigit()


def test_a_bad_rule_is_an_error() -> None:
    def bad() -> Filter:
        return Filter(errno.EPERM, (Rule("read", (Is(9, 0),)),))

    assert under(bad, os.getpid) == "SeccompError"


def test_without_the_promise_not_to_gain_privileges_root_alone_may() -> None:
    def body() -> None:
        account = privileges.find_account("nobody")
        os.setresuid(account.uid, account.uid, account.uid)
        seccomp.load(syscalls.gate())

    assert in_child(body) == "SeccompError"
