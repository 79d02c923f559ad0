"""The back-ends: which C files hook what, in order of preference, and what each cannot see.

A back-end is a list of parts, each with one or more ways to do its work; the loader takes the
first way that this kernel allows. A new back-end is a row of BACKENDS and its C files in
bpf/hooks; a new way is a row of its part.
"""

from __future__ import annotations

from collections.abc import Collection

from netiod.features import Features
from netiod.hooks import (
    CGROUP,
    CLASSIC,
    FENTRY,
    FEXIT,
    KPROBE,
    KRETPROBE,
    RAW,
    Backend,
    Hook,
    Part,
    Way,
)

#: Prefixes of the names of programs.
_KPROBE, _KRETPROBE = (KPROBE, "kprobe_"), (KRETPROBE, "kretprobe_")
_FENTRY, _FEXIT = (FENTRY, "kfunc__"), (FEXIT, "kretfunc__")

_ZEROCOPY = "getsockopt(TCP_ZEROCOPY_RECEIVE)"
_SPLICE = "splice(2) from TCP, MPTCP, kTLS and unix stream sockets into a pipe"
_SENDERS = "senders of datagrams received on unconnected sockets"
_RECEIVERS = "receivers of datagrams sent by sendmmsg(2) and io_uring on unconnected sockets"
_PREEMPTED = "operations while another thread is preempted in the hook"
_URING_SPLICE = (f"io_uring's {_SPLICE.replace('(2)', '')}",)
_NO_ADDRESS = "senders of datagrams received without asking for the address"


def _no_kprobes(kernel: Features) -> str:
    return "" if kernel.kprobes else "this kernel has no kprobes (CONFIG_KPROBES)"


def _no_cgroup_hooks(kernel: Features) -> str:
    return "" if kernel.cgroup_hooks else "this kernel has no BPF for cgroups (CONFIG_CGROUP_BPF)"


def _no_tracepoint(kernel: Features) -> str:
    if kernel.types.has_function("__traceiter_sock_send_length"):
        return ""
    return "this kernel has no tracepoint sock_send_length (Linux 6.3)"


def _preemptible(kernel: Features) -> str:
    if kernel.preemptible_tracepoints:
        return "this kernel can be preempted inside a raw tracepoint"
    return ""


def _no_tracefs(kernel: Features) -> str:
    return "" if kernel.tracefs else "there is no tracefs"


def _raw(point: str, *, required: bool = True, cost: str = "", on_demand: bool = False) -> Hook:
    return Hook(RAW, point, f"raw_tracepoint__{point}", required, cost, on_demand=on_demand)


def _classic(group: str, point: str, *, on_demand: bool = False) -> Hook:
    program = f"tracepoint__{group}__{point}"
    return Hook(CLASSIC, f"{group}:{point}", program, on_demand=on_demand)


def _tracepoint(*sources: str) -> tuple[Way, ...]:
    """Ways to hang on the tracepoints of sockets; `sources`: what hangs there."""
    points = ("sock_send_length", "sock_recv_length")
    raw = (*sources, "tracepoint_raw.c"), tuple(map(_raw, points))
    return (
        Way(*raw, lambda kernel: _no_tracepoint(kernel) or _preemptible(kernel)),
        Way(
            (*sources, "tracepoint_classic.c"),
            tuple(_classic("sock", point) for point in points),
            lambda kernel: _no_tracepoint(kernel) or _no_tracefs(kernel),
        ),
        # Better than nothing: the kernel says how often it misses.
        Way(*raw, _no_tracepoint, (_PREEMPTED,)),
    )


def _calls(*sources: str, blind: tuple[str, ...] = ()) -> tuple[Way, ...]:
    """Ways to hang on every system call, as _tracepoint()'s on sockets."""
    points = ("sys_enter", "sys_exit")
    raw = ("syscall_raw.c", *sources), tuple(_raw(point, on_demand=True) for point in points)
    return (
        Way(*raw, _preemptible, blind),
        Way(
            ("syscall_classic.c", *sources),
            tuple(_classic("raw_syscalls", point, on_demand=True) for point in points),
            _no_tracefs,
            blind,
        ),
        Way(*raw, blind=(*blind, _PREEMPTED)),
    )


def _entry_and_return(
    costs: dict[str, str], entry: tuple[str, str], leave: tuple[str, str]
) -> tuple[Hook, ...]:
    """Hooks on entry and return of functions; `costs`: what is not seen without each."""
    # The return first: what an entry notes is taken away by a return, or nothing would do it.
    return tuple(
        hook
        for function, cost in costs.items()
        for hook in (
            Hook(leave[0], function, leave[1] + function, False, cost),
            Hook(entry[0], function, entry[1] + function, False, cost, after=leave[1] + function),
        )
    )


def _entry(cost: str, entry: tuple[str, str], *functions: str) -> tuple[Hook, ...]:
    """Hooks on the entry of functions that tell whose bytes it are."""
    return tuple(
        Hook(entry[0], function, entry[1] + function, False, cost, uncounted=False)
        for function in functions
    )


def _cgroup(*points: str) -> tuple[Hook, ...]:
    return tuple(Hook(CGROUP, point, f"cgroup_{point}") for point in points)


#: Function: what is not seen without it; empty: nothing, if this kernel does not have it.
FUNCTIONS = {
    "sock_write_iter": "write, writev and AIO to sockets",
    "__sys_sendto": "send and sendto",
    "____sys_sendmsg": "sendmsg and sendmmsg",
    "sock_sendpage": "",
    "sock_sendmsg": "sends by io_uring, and sendfile on newer kernels",
    "sock_read_iter": "read, readv and AIO from sockets",
    "__sys_recvfrom": "recv and recvfrom",
    "____sys_recvmsg": "recvmsg and recvmmsg",
    "sock_splice_read": _SPLICE,
    "sock_recvmsg": "receives by io_uring, and senders of datagrams",
    "tcp_getsockopt": _ZEROCOPY,
}
_SPLICE_FUNCTIONS = {name: FUNCTIONS[name] for name in ("sock_splice_read", "tcp_getsockopt")}
_SENDER = "skb_consume_udp"

#: The part that settings can leave out.
SPLICE = "splice"

#: Without a run of these a process goes uncounted that is to be counted.
CHOOSING = (
    _raw("sched_process_fork", required=False, cost="children of processes that are followed"),
    _raw("cgroup_mkdir", required=False, cost="cgroups that are made while they are watched"),
)

#: Needed whatever the back-end: the lives and names of processes.
COMMON = (
    _raw("sched_process_exit"),
    _raw(
        "task_rename",
        required=False,
        cost="a process that changes its name keeps the old one on screens",
    ),
    *CHOOSING,
)


def chooses_first(sources: Collection[str]) -> bool:
    """Whether programs of these C files choose processes as an operation begins, not when it is
    counted: see bpf/processes.c."""
    return "tracepoint.c" not in sources


#: Most exact first.
BACKENDS = (
    Backend(
        "tracepoint",
        (
            # Before the part that reads what these note.
            Part(
                SPLICE,
                (
                    Way(
                        ("kprobe.c", "splice.h", "splice.c", "zerocopy.h", "zerocopy.c"),
                        _entry_and_return(_SPLICE_FUNCTIONS, _KPROBE, _KRETPROBE),
                        _no_kprobes,
                    ),
                    # By their own tracepoints; where system calls have none, by those of all.
                    Way(
                        ("splice.h", "zerocopy.h", "splice_tracepoints.c"),
                        tuple(
                            _classic("syscalls", f"sys_{end}_{call}", on_demand=True)
                            for call in ("splice", "getsockopt")
                            for end in ("exit", "enter")
                        ),
                        _no_tracefs,
                        _URING_SPLICE,
                    ),
                    *_calls("splice.h", "zerocopy.h", "splice_syscall.c", blind=_URING_SPLICE),
                ),
                f"{_SPLICE}; {_ZEROCOPY}",
            ),
            Part(
                "receivers of datagrams",
                (
                    Way(
                        ("peers.h", "peers_cgroup.c"),
                        _cgroup("udp4_sendmsg", "udp6_sendmsg"),
                        _no_cgroup_hooks,
                    ),
                    Way(
                        ("kprobe.c", "peers.h", "peers_send.c"),
                        _entry(_RECEIVERS, _KPROBE, "udp_sendmsg", "udpv6_sendmsg"),
                        _no_kprobes,
                    ),
                ),
                _RECEIVERS,
                uncounted=False,
            ),
            Part(
                "senders of datagrams",
                (
                    Way(
                        ("kprobe.c", "peers.h", "peers_receive.c"),
                        _entry(_SENDERS, _KPROBE, _SENDER),
                        _no_kprobes,
                    ),
                    Way(
                        ("peers.h", "peers_cgroup.c"),
                        _cgroup("udp4_recvmsg", "udp6_recvmsg"),
                        _no_cgroup_hooks,
                        (_NO_ADDRESS,),
                    ),
                ),
                _SENDERS,
                uncounted=False,
            ),
            Part(
                "sends and receives",
                _tracepoint("tracepoint.c"),
            ),
        ),
        ("what MSG_TRUNC cut off of datagrams received by io_uring (counted as received)",),
        tells_errors=True,
    ),
    Backend(
        "kprobe",
        (
            Part(
                "functions",
                (
                    Way(
                        ("functions.h", "kprobe.c", "functions.c", "zerocopy.h", "zerocopy.c"),
                        (
                            *_entry_and_return(FUNCTIONS, _KPROBE, _KRETPROBE),
                            *_entry(_NO_ADDRESS, _KPROBE, _SENDER),
                        ),
                        _no_kprobes,
                    ),
                ),
            ),
        ),
    ),
    Backend(
        "fexit",
        (
            Part(
                "functions",
                (
                    Way(
                        ("functions.h", "fexit.c", "functions.c", "zerocopy.h", "zerocopy.c"),
                        (
                            *_entry_and_return(FUNCTIONS, _FENTRY, _FEXIT),
                            *_entry(_NO_ADDRESS, _FENTRY, _SENDER),
                        ),
                    ),
                ),
            ),
        ),
        (_PREEMPTED,),
    ),
    Backend(
        "syscall",
        (
            Part(
                "system calls",
                _calls("zerocopy.h", "syscall.c"),
            ),
        ),
        (
            "io_uring and AIO",
            "system calls of 32-bit programs",
            _NO_ADDRESS,
        ),
    ),
)
