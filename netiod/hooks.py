"""The back-ends: which C files hook what, in order of preference, and what each cannot see.

A new back-end is one file in bpf/hooks and one row here. Kinds of hooks, and how they are
attached: attach.py.
"""

from __future__ import annotations

from dataclasses import dataclass

RAW, KPROBE, KRETPROBE, FENTRY, FEXIT = "raw tracepoint", "kprobe", "kretprobe", "fentry", "fexit"


@dataclass(frozen=True)
class Hook:
    """A program and where it goes: `program` is the C function, `point` a tracepoint or function.

    Without a `required` hook its back-end is not used; `cost` says what is lost without another.
    """

    kind: str
    point: str
    program: str
    required: bool = True
    cost: str = ""

    @property
    def name(self) -> str:
        """How people see it."""
        return self.point if self.kind == RAW else f"{self.kind} {self.point}"


@dataclass(frozen=True)
class Backend:
    """A way to see socket operations: C files below bpf/hooks, in this order, and their hooks.

    `blind` is what it cannot see, for `status`.
    """

    name: str
    sources: tuple[str, ...]
    hooks: tuple[Hook, ...]
    blind: tuple[str, ...]


def _raw(point: str, *, required: bool = True, cost: str = "") -> Hook:
    return Hook(RAW, point, f"raw_tracepoint__{point}", required, cost)


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
    "sock_splice_read": "splice from a socket",
    "sock_recvmsg": "receives by io_uring, and senders of datagrams",
}


def _functions(entry: tuple[str, str], leave: tuple[str, str]) -> tuple[Hook, ...]:
    # The return first: a note that no return would take away is never made.
    return tuple(
        Hook(kind, function, prefix + function, False, f"not seen: {cost}" if cost else "")
        for function, cost in FUNCTIONS.items()
        for kind, prefix in (leave, entry)
    )


#: Needed whatever the back-end: the lives and names of processes.
COMMON = (
    _raw("sched_process_exit"),
    _raw(
        "task_rename",
        required=False,
        cost="a process that changes its name keeps the old one on screens",
    ),
)

_ZEROCOPY = "getsockopt(TCP_ZEROCOPY_RECEIVE)"

#: Most exact first.
BACKENDS = (
    Backend(
        "tracepoint",
        ("tracepoint.c",),
        (_raw("sock_send_length"), _raw("sock_recv_length")),
        (
            "splice(2) from a socket into a pipe",
            _ZEROCOPY,
            "peers of datagrams received on unconnected sockets",
            "what MSG_TRUNC cut off of datagrams received by io_uring (counted as received)",
        ),
    ),
    Backend(
        "kprobe",
        ("functions.h", "kprobe.c", "functions.c"),
        _functions((KPROBE, "kprobe_"), (KRETPROBE, "kretprobe_")),
        (_ZEROCOPY,),
    ),
    Backend(
        "fexit",
        ("functions.h", "fexit.c", "functions.c"),
        _functions((FENTRY, "kfunc__"), (FEXIT, "kretfunc__")),
        (_ZEROCOPY, "operations while another thread is preempted in the hook"),
    ),
    Backend(
        "syscall",
        ("syscall.c",),
        (_raw("sys_enter"), _raw("sys_exit")),
        (
            "io_uring and AIO",
            _ZEROCOPY,
            "peers of sendmmsg(2) and recvmmsg(2) on unconnected sockets",
        ),
    ),
)
