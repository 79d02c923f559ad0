"""Attaching one hook with bcc, whatever its kind, and what kprobes leave behind.

`bpf` is a bcc.BPF throughout; bcc itself is imported by the loader alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import re
import struct
import time
from typing import Any

from netiod import maps, mounts
from netiod.hooks import CGROUP, CLASSIC, FENTRY, FEXIT, KPROBE, KRETPROBE, RAW, Hook
from netiod.mounts import TRACEFS

#: Threads that may be inside a function at once before a return goes unseen. The kernel's own
#: default, 2 to 10, misses most of a few hundred blocked receivers.
MAXACTIVE = 4096
#: Seconds that a closed event may keep its program: some RCU grace periods.
_LETTING_GO = 2.0
#: enum bpf_attach_type of <linux/bpf.h>.
_CGROUP_TYPES = {"udp4_sendmsg": 14, "udp6_sendmsg": 15, "udp4_recvmsg": 19, "udp6_recvmsg": 20}
#: enum bpf_cmd, and enum bpf_prog_type.
_RAW_TRACEPOINT_OPEN, _LINK_CREATE = 17, 28
_TRACEPOINT, _CGROUP_SOCK_ADDR = 5, 18
#: <linux/perf_event.h>
_PERF_TYPE_TRACEPOINT, _PERF_ATTR_SIZE, _PERF_FLAG_FD_CLOEXEC = 2, 112, 8
_PERF_IOC_SET_BPF, _PERF_IOC_ENABLE = 0x40042408, 0x2400
_NR_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_libc = ctypes.CDLL(None, use_errno=True)


def attach(bpf: Any, hook: Hook) -> int:
    """Load and attach; the descriptor that keeps it attached.

    Raises:
        Exception: whatever bcc raises, often with a reason on stderr only.
    """
    program, point = program_name(bpf, hook), hook.point.encode()
    if hook.kind == RAW:
        bpf.attach_raw_tracepoint(tp=point, fn_name=program)
        return int(bpf.raw_tracepoint_fds[point])
    if hook.kind == CLASSIC:
        return _attach_classic(tracepoint_id(hook.point), bpf.load_func(program, _TRACEPOINT).fd)
    if hook.kind == CGROUP:
        return _attach_cgroup(bpf, hook)
    if hook.kind == KPROBE:
        bpf.attach_kprobe(event=point, fn_name=program)
        return _perf_fd(bpf, program)
    if hook.kind == KRETPROBE:
        bpf.attach_kretprobe(event=point, fn_name=program, maxactive=MAXACTIVE)
        return _perf_fd(bpf, program)
    if hook.kind == FENTRY:
        bpf.attach_kfunc(fn_name=program)
        return int(bpf.kfunc_entry_fds[program])
    if hook.kind == FEXIT:
        bpf.attach_kretfunc(fn_name=program)
        return int(bpf.kfunc_exit_fds[program])
    raise ValueError(hook.kind)


def program_name(bpf: Any, hook: Hook) -> bytes:
    """What bcc knows the program of a hook by; of which module a function is, since 0.28."""
    name = hook.program.encode()
    if hook.kind not in (FENTRY, FEXIT):
        return name
    kind, _, function = name.partition(b"__")
    qualified = b"__vmlinux__".join((kind, function))
    return qualified if bpf.has(qualified) else name


def tracepoint_id(point: str) -> int:
    """The number of a tracepoint, GROUP:NAME.

    Raises:
        OSError: this kernel does not have it, or no tracefs.
    """
    return int((TRACEFS / "events" / point.replace(":", "/") / "id").read_text())


def reattach(hook: dict[str, Any], program: int) -> int:
    """Attach a loaded program, a descriptor, to a tracepoint as describe() has described it;
    the descriptor that keeps it attached.

    Raises:
        OSError: the kernel refused.
    """
    if hook["id"] is not None:
        return _attach_classic(hook["id"], program)
    name = ctypes.create_string_buffer(hook["name"].encode())
    attr = ctypes.create_string_buffer(128)
    struct.pack_into("=QI", attr, 0, ctypes.addressof(name), program)
    return maps.bpf(_RAW_TRACEPOINT_OPEN, attr)


def describe(hook: Hook) -> dict[str, Any]:
    """What reattach() needs, later and elsewhere."""
    return {"name": hook.name, "id": tracepoint_id(hook.point) if hook.kind == CLASSIC else None}


def _attach_classic(number: int, program: int) -> int:
    """By perf_event_open(2): a program on one CPU's event runs on all CPUs."""
    attr = ctypes.create_string_buffer(_PERF_ATTR_SIZE)
    # struct perf_event_attr: type, size, config, sample_period.
    struct.pack_into("=IIQQ", attr, 0, _PERF_TYPE_TRACEPOINT, _PERF_ATTR_SIZE, number, 1)
    nr = _NR_PERF_EVENT_OPEN[platform.machine()]
    event = int(_libc.syscall(nr, attr, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC))
    if event < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"perf_event_open: {os.strerror(code)}")
    try:
        _set_program(event, program)
        fcntl.ioctl(event, _PERF_IOC_ENABLE, 0)
    except OSError:
        os.close(event)
        raise
    return event


def _set_program(event: int, program: int) -> None:
    """An event that was closed lets go of its program some time later, and until then it cannot
    be attached to the same tracepoint again."""
    until = time.monotonic() + _LETTING_GO
    while True:
        try:
            fcntl.ioctl(event, _PERF_IOC_SET_BPF, program)
        except FileExistsError:
            if time.monotonic() > until:
                raise
            time.sleep(0.002)
        else:
            return


def _attach_cgroup(bpf: Any, hook: Hook) -> int:
    """To the root of all cgroups; not by bcc, whose way outlives everybody who wanted it."""
    kind = _CGROUP_TYPES[hook.point]
    program = bpf.load_func(hook.program.encode(), _CGROUP_SOCK_ADDR, None, kind)
    root = os.open(mounts.cgroup_root(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attr = ctypes.create_string_buffer(64)
        struct.pack_into("=IIII", attr, 0, program.fd, root, kind, 0)
        return maps.bpf(_LINK_CREATE, attr)
    finally:
        os.close(root)


def sweep_kprobes() -> None:
    """Remove the kprobes that a loader made whose daemon is gone.

    They are named after the loader, which is never there any more; those of a daemon that runs
    are in use, and the kernel keeps them.
    """
    events = TRACEFS / "kprobe_events"
    with contextlib.suppress(OSError):
        for group, name, pid in re.findall(
            r"^[pr]\S*:(\w+)/([pr]_\w+_bcc_(\d+)) ", events.read_text(), re.M
        ):
            if not os.path.exists(f"/proc/{pid}"):
                with contextlib.suppress(OSError), events.open("a") as file:
                    file.write(f"-:{group}/{name}\n")


def kprobe_profile() -> int | None:
    """tracefs's counts of what kprobes hit and missed, opened; None: it cannot be."""
    try:
        return os.open(TRACEFS / "kprobe_profile", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _perf_fd(bpf: Any, program: bytes) -> int:
    found = (fds[program] for fds in bpf.kprobe_fds.values() if program in fds)
    return int(next(found))
