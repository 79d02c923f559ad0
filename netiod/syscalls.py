"""Which system calls netiod's processes may make, and why each.

Broker and gates: a list of what is allowed. Everything else fails with EPERM, which a log or a
traceback shows with the line it came from, and which does no more harm than the error that it is:
a C library that tries something new does not end the daemon. A few calls that no library ever
tries, and every attack does, end the process at once; netiod's log then says "killed by SIGSYS".
The loader, in which a whole compiler runs: a list of what is refused.
"""

from __future__ import annotations

import errno
import os
import socket

from netiod.seccomp import Filter, Is, Rule

#: <asm-generic/mman-common.h>
_PROT_EXEC = 4
#: <linux/sched.h>: all kinds of namespaces.
_CLONE_THREAD, _CLONE_NEW = 0x00010000, 0x7E020000 | 0x80
#: <asm-generic/ioctls.h>
_TCGETS, _FIONBIO, _FIOCLEX = 0x5401, 0x5421, 0x5451
#: <linux/fcntl.h>
_F_DUPFD_CLOEXEC, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL = 1030, 1, 2, 3, 4
#: enum bpf_cmd of <linux/bpf.h>: look up, update and delete elements of maps that it was given, and
#: ask what a program has counted. Not: make or load anything, or find what others have.
_BPF_COMMANDS = (1, 2, 3, 15, 24)
_PR_SET_NAME = 15
_O_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

#: What no code of ours, nor any library it uses, ever calls.
DEADLY = (
    "execve execveat ptrace process_vm_readv process_vm_writev "
    "mount umount2 pivot_root chroot unshare setns open_by_handle_at "
    "init_module finit_module delete_module kexec_load kexec_file_load reboot "
    "perf_event_open io_uring_setup userfaultfd add_key request_key keyctl"
)


def _each(names: str, arg: int, values: tuple[int, ...]) -> tuple[Rule, ...]:
    return tuple(Rule(names, (Is(arg, value),)) for value in values)


def _python() -> tuple[Rule, ...]:
    """What Python and the C library need to run at all, to log, and to end."""
    return (
        # Descriptors that are there. Their paths are another matter: see openat below.
        Rule("read readv write writev pread64 lseek close fstat"),
        # Since glibc 2.33 fstat(2) is this call. With a path it tells of what can be reached.
        Rule("newfstatat"),
        *_each("ioctl", 1, (_TCGETS, _FIONBIO, _FIOCLEX)),
        *_each("fcntl", 1, (_F_DUPFD_CLOEXEC, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL)),
        # Memory, but none that can be executed: all code was there before.
        Rule("mmap mprotect", (Is(2, 0, _PROT_EXEC),)),
        Rule("munmap mremap brk madvise"),
        # Locks, and waiting.
        Rule("futex sched_yield restart_syscall nanosleep clock_nanosleep"),
        Rule("clock_gettime clock_getres gettimeofday time"),
        Rule("rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack"),
        # Who am I; and the kernel's release, for `status`.
        Rule("getpid gettid getppid getuid geteuid getgid getegid uname"),
        Rule("getrandom sched_getaffinity"),
        # Its own limits (pid 0).
        Rule("prlimit64", (Is(0, 0),)),
        # abort(3), so that a crash is reported as what it is.
        Rule("tgkill", (Is(0, os.getpid()),)),
        Rule("exit exit_group"),
    )


def _sockets() -> tuple[Rule, ...]:
    """Sockets that are there, or come in. There are no new ones: socket(2) is not among these."""
    return (
        Rule("accept4 recvfrom recvmsg sendto sendmsg shutdown"),
        Rule("getsockopt setsockopt getsockname getpeername"),
        Rule("epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2"),
        Rule("poll ppoll select pselect6"),
    )


def broker() -> Filter:
    """For this process as a broker."""
    return Filter(
        errno.EPERM,
        (
            *_python(),
            *_sockets(),
            # The signal wake-up.
            Rule("socketpair", (Is(0, socket.AF_UNIX),)),
            # /proc, all that it sees, for reading.
            Rule("openat", (Is(2, 0, _O_WRITES),)),
            *_each("bpf", 0, _BPF_COMMANDS),
        ),
        deadly=DEADLY,
    )


def gate() -> Filter:
    """For this process as a gate: no file is ever opened."""
    return Filter(
        errno.EPERM,
        (
            *_python(),
            *_sockets(),
            # libzmq's threads, in the namespaces that there are; their names; their mailboxes.
            Rule("clone", (Is(0, _CLONE_THREAD, _CLONE_THREAD | _CLONE_NEW),)),
            Rule("set_robust_list rseq"),
            # It asks how a thread is scheduled, and sets just that again: see `done`.
            Rule("sched_getparam sched_getscheduler"),
            Rule("prctl", (Is(0, _PR_SET_NAME),)),
            Rule("eventfd2"),
        ),
        done="sched_setscheduler",
        # Its flags are out of the filter's sight: the C library then takes clone(2).
        unknown="clone3",
        deadly=DEADLY,
    )


def loader() -> Filter:
    """For a loader: what neither bcc nor LLVM needs."""
    return Filter(
        0,
        refused=(
            # No network, and no other program.
            "socket connect bind listen accept accept4 execve execveat "
            "ptrace process_vm_readv process_vm_writev chroot pivot_root setns open_by_handle_at "
            "init_module finit_module delete_module kexec_load kexec_file_load reboot "
            "io_uring_setup userfaultfd add_key request_key keyctl swapon swapoff acct "
            "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname "
            "mknod mknodat iopl ioperm quotactl"
        ),
    )
