"""The back-ends: which C file hooks what, in order of preference, and what each cannot see.

A new back-end is one file in bpf/hooks and one row here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hook:
    """A program and where it goes: `program` is the C function, `point` the raw tracepoint.

    Without a `required` hook its back-end is not used; `cost` says what is lost without another.
    """

    program: str
    point: str
    required: bool = True
    cost: str = ""


@dataclass(frozen=True)
class Backend:
    """A way to see socket operations; `blind` is what it cannot see, for `status`."""

    name: str
    source: str
    hooks: tuple[Hook, ...]
    blind: tuple[str, ...]


#: Needed whatever the back-end: the lives and names of processes.
COMMON = (
    Hook("raw_tracepoint__sched_process_exit", "sched_process_exit"),
    Hook(
        "raw_tracepoint__task_rename",
        "task_rename",
        required=False,
        cost="a process that changes its name keeps the old one on screens",
    ),
)

#: Most exact first.
BACKENDS = (
    Backend(
        "tracepoint",
        "tracepoint.c",
        (
            Hook("raw_tracepoint__sock_send_length", "sock_send_length"),
            Hook("raw_tracepoint__sock_recv_length", "sock_recv_length"),
        ),
        (
            "splice(2) from a socket into a pipe",
            "getsockopt(TCP_ZEROCOPY_RECEIVE)",
            "peers of datagrams received on unconnected sockets",
        ),
    ),
    Backend(
        "syscall",
        "syscall.c",
        (
            Hook("raw_tracepoint__sys_enter", "sys_enter"),
            Hook("raw_tracepoint__sys_exit", "sys_exit"),
        ),
        (
            "io_uring and AIO",
            "getsockopt(TCP_ZEROCOPY_RECEIVE)",
            "peers of sendmmsg(2) and recvmmsg(2) on unconnected sockets",
        ),
    ),
)
