"""BCC in a process of its own, which the benchmark talks to through pipes: see helpers.py.

Runs with the system's interpreter, for which the distribution's BCC is. No kernel headers are
needed: the repository has stand-ins.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INCLUDE = Path(__file__).resolve().parents[3] / "bpf" / "include"


def load(text: str) -> Any:
    """A bcc.BPF whose raw tracepoints, named by RAW_TRACEPOINT_PROBE, are attached."""
    os.environ["BCC_KERNEL_SOURCE"] = str(_INCLUDE)
    from bcc import BPF

    return BPF(text=text.encode(), cflags=["-Wno-everything"])


def serve(poll: Callable[[], Any], seen: Callable[[], dict[str, int]]) -> None:
    """Call `poll` until stdin ends, and answer each line there with `seen`."""
    print("ready", flush=True)
    while True:
        poll()
        if is_asked(0):
            if not sys.stdin.readline():
                return
            print(json.dumps(seen()), flush=True)


def is_asked(seconds: float | None) -> bool:
    """Wait for a line on stdin, so long at most; whether there is one."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])
