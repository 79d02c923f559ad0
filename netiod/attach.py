"""Attaching one hook with bcc, whatever its kind, and what kprobes leave behind.

`bpf` is a bcc.BPF throughout; bcc itself is imported by the loader alone.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

from netiod.hooks import FENTRY, FEXIT, KPROBE, KRETPROBE, RAW, Hook
from netiod.mounts import TRACEFS

#: Threads that may be inside a function at once before a return goes unseen. The kernel's own
#: default, 2 to 10, misses most of a few hundred blocked receivers.
_MAXACTIVE = 4096


def attach(bpf: Any, hook: Hook) -> int:
    """Load and attach; the descriptor that keeps it attached.

    Raises:
        Exception: whatever bcc raises, often with a reason on stderr only.
    """
    program, point = hook.program.encode(), hook.point.encode()
    if hook.kind == RAW:
        bpf.attach_raw_tracepoint(tp=point, fn_name=program)
        return int(bpf.raw_tracepoint_fds[point])
    if hook.kind == KPROBE:
        bpf.attach_kprobe(event=point, fn_name=program)
        return _perf_fd(bpf, program)
    if hook.kind == KRETPROBE:
        bpf.attach_kretprobe(event=point, fn_name=program, maxactive=_MAXACTIVE)
        return _perf_fd(bpf, program)
    if hook.kind == FENTRY:
        bpf.attach_kfunc(fn_name=program)
        return int(bpf.kfunc_entry_fds[program])
    if hook.kind == FEXIT:
        bpf.attach_kretfunc(fn_name=program)
        return int(bpf.kfunc_exit_fds[program])
    raise ValueError(hook.kind)


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


def _perf_fd(bpf: Any, program: bytes) -> int:
    found = (fds[program] for fds in bpf.kprobe_fds.values() if program in fds)
    return int(next(found))
