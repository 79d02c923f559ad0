"""Attaching one hook, whatever its kind, and what kretprobes leave behind.

Layouts: union bpf_attr of <linux/bpf.h>, struct perf_event_attr of <linux/perf_event.h>.
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
from pathlib import Path
from typing import Any

from netiod import maps, mounts
from netiod.btf import Btf
from netiod.hooks import CGROUP, CLASSIC, FENTRY, FEXIT, KPROBE, KRETPROBE, RAW, Hook
from netiod.mounts import TRACEFS
from netiod.programs import Programs

#: Threads that may be inside a function at once before a return goes unseen. The kernel's own
#: default, 2 to 10, misses most of a few hundred blocked receivers.
MAXACTIVE = 4096
#: Seconds that a closed event may keep its program: some RCU grace periods.
_LETTING_GO = 2.0
#: enum bpf_prog_type.
_PROGRAM_TYPES = {KPROBE: 2, KRETPROBE: 2, CLASSIC: 5, RAW: 17, CGROUP: 18, FENTRY: 26, FEXIT: 26}
#: enum bpf_attach_type.
_CGROUP_TYPES = {"udp4_sendmsg": 14, "udp6_sendmsg": 15, "udp4_recvmsg": 19, "udp6_recvmsg": 20}
_TRACE_TYPES = {FENTRY: 24, FEXIT: 25}
#: enum bpf_cmd.
_RAW_TRACEPOINT_OPEN, _LINK_CREATE = 17, 28
_PERF_TYPE_TRACEPOINT, _PERF_ATTR_SIZE, _PERF_FLAG_FD_CLOEXEC = 2, 112, 8
_PERF_IOC_SET_BPF, _PERF_IOC_ENABLE = 0x40042408, 0x2400
#: Offset of kprobe_func in struct perf_event_attr.
_KPROBE_FUNC = 56
_NR_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
#: What probes on functions are to perf_event_open(2).
_KPROBE_TYPE = Path("/sys/bus/event_source/devices/kprobe/type")
_KPROBE_EVENTS = TRACEFS / "kprobe_events"
_libc = ctypes.CDLL(None, use_errno=True)


def attach(programs: Programs, hook: Hook, types: Btf) -> int:
    """Load and attach; the descriptor that keeps it attached.

    Raises:
        ProgramRefused: the verifier did.
        OSError: the kernel refused to attach it.
    """
    shown = hook.point.rpartition(":")[2]
    expected = _CGROUP_TYPES[hook.point] if hook.kind == CGROUP else _TRACE_TYPES.get(hook.kind, 0)
    target = types.function_id(hook.point) if hook.kind in _TRACE_TYPES else None
    kind = _PROGRAM_TYPES[hook.kind]
    program = programs.load(hook.program, kind, shown, expected, target or 0)
    if hook.kind == RAW:
        return _open_raw(hook.point, program)
    if hook.kind in _TRACE_TYPES:
        return _open_raw(None, program)
    if hook.kind == CGROUP:
        return _attach_cgroup(program, expected)
    if hook.kind == KPROBE:
        return _attach_event(_kprobe(hook.point), program)
    if hook.kind == KRETPROBE:
        return _attach_event(_tracepoint(_kretprobe_id(hook.point)), program)
    return _attach_event(_tracepoint(tracepoint_id(hook.point)), program)


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
        return _attach_event(_tracepoint(hook["id"]), program)
    return _open_raw(hook["name"], program)


def describe(hook: Hook) -> dict[str, Any]:
    """What reattach() needs, later and elsewhere."""
    return {"name": hook.name, "id": tracepoint_id(hook.point) if hook.kind == CLASSIC else None}


def _open_raw(point: str | None, program: int) -> int:
    """By BPF_RAW_TRACEPOINT_OPEN; None: where the program was loaded for."""
    name = None if point is None else ctypes.create_string_buffer(point.encode())
    attr = ctypes.create_string_buffer(128)
    struct.pack_into("=QI", attr, 0, 0 if name is None else ctypes.addressof(name), program)
    return maps.bpf(_RAW_TRACEPOINT_OPEN, attr)


def _tracepoint(number: int) -> int:
    """An event of the tracepoint of that number."""
    return _open_event(_PERF_TYPE_TRACEPOINT, number)


def _kprobe(function: str) -> int:
    """An event of the entry of a function."""
    name = ctypes.create_string_buffer(function.encode())
    return _open_event(int(_KPROBE_TYPE.read_text()), 0, ctypes.addressof(name))


def _open_event(kind: int, config: int, function: int = 0) -> int:
    """By perf_event_open(2), on one CPU: a program of its runs on all CPUs."""
    attr = ctypes.create_string_buffer(_PERF_ATTR_SIZE)
    # struct perf_event_attr: type, size, config, sample_period; kprobe_func.
    struct.pack_into("=IIQQ", attr, 0, kind, _PERF_ATTR_SIZE, config, 1)
    struct.pack_into("=Q", attr, _KPROBE_FUNC, function)
    nr = _NR_PERF_EVENT_OPEN[platform.machine()]
    event = int(_libc.syscall(nr, attr, -1, 0, -1, _PERF_FLAG_FD_CLOEXEC))
    if event < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"perf_event_open: {os.strerror(code)}")
    return event


def _attach_event(event: int, program: int) -> int:
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


def _attach_cgroup(program: int, kind: int) -> int:
    """To the root of all cgroups, as long as somebody wants it."""
    root = os.open(mounts.cgroup_root(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attr = ctypes.create_string_buffer(64)
        struct.pack_into("=IIII", attr, 0, program, root, kind, 0)
        return maps.bpf(_LINK_CREATE, attr)
    finally:
        os.close(root)


def _kretprobe_id(function: str) -> int:
    """The number of an event for the return of a function: made through tracefs, which alone lets
    one say for how many threads."""
    group, name = "kprobes", f"r_{function}_netio_{os.getpid()}"
    # It may be there, of a back-end that was tried before.
    with contextlib.suppress(FileExistsError):
        _tell_kprobes(f"r{MAXACTIVE}:{group}/{name} {function}")
    return tracepoint_id(f"{group}:{name}")


def _tell_kprobes(line: str) -> None:
    # Not by open(): Python goes to the end of what it appends to, and this file has none.
    file = os.open(_KPROBE_EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)


def sweep_kprobes() -> None:
    """Remove the events that a loader made whose daemon is gone.

    They are named after the loader, which is never there any more; those of a daemon that runs
    are in use, and the kernel keeps them.
    """
    with contextlib.suppress(OSError):
        events = _KPROBE_EVENTS.read_text()
        for group, name, pid in re.findall(r"^r\S*:(\w+)/(r_\w+_netio_(\d+)) ", events, re.M):
            if not os.path.exists(f"/proc/{pid}"):
                with contextlib.suppress(OSError):
                    _tell_kprobes(f"-:{group}/{name}")


def kprobe_profile() -> int | None:
    """tracefs's counts of what kprobes hit and missed, opened; None: it cannot be."""
    try:
        return os.open(TRACEFS / "kprobe_profile", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
