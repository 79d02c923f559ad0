"""On what, and with what, was measured."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from netioctl import __version__


def describe() -> dict[str, Any]:
    """The machine and the versions of all that takes part."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _after("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": int((_after("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) // 1024,
        "virtual": "hypervisor" in (_after("/proc/cpuinfo", "flags") or "").split(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "system": _system(),
        "netio": __version__,
        "python": platform.python_version(),
        **_libraries(),
    }


def other_daemons() -> list[int]:
    """PIDs of the netiods that run already: their hooks slow every process, measured or not."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            # The supervisor; the names of its children go on after that.
            if path.read_text() == "netiod\n":
                found.append(int(path.parent.name))
        except OSError:  # gone meanwhile
            continue
    return sorted(found)


class Disturbance:
    """What else the machine did since this was made: it explains odd numbers."""

    def __init__(self) -> None:
        self._begin = _ticks()
        self._load = os.getloadavg()[0]
        #: PIDs of netiods that ran before.
        self.daemons = other_daemons()

    def describe(self) -> dict[str, float]:
        """Load before the benchmark, and the share of CPU time that other machines took."""
        begin, now = self._begin, _ticks()
        passed = sum(now) - sum(begin)
        # The eighth column is "steal": see proc_stat(5).
        stolen = (now[7] - begin[7]) / passed if passed else 0.0
        return {
            "load_before": self._load,
            "stolen": round(stolen, 4),
            "other_daemons": len(self.daemons),
        }


def _ticks() -> list[int]:
    # guest and guest_nice, the last two, are in user and nice already.
    return [int(n) for n in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]


def _after(path: str, key: str) -> str | None:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _system() -> str:
    # platform.freedesktop_os_release() is new in Python 3.10.
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return platform.system()
    names = [
        line.split("=", 1)[1].strip("\"'") for line in lines if line.startswith("PRETTY_NAME=")
    ]
    return names[0] if names else platform.system()


def _libraries() -> dict[str, str]:
    # In another process: libraries that this one has in memory would be shared with the daemon,
    # and so look smaller there.
    code = "import numpy, zmq; print(numpy.__version__, zmq.__version__, zmq.zmq_version())"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(("numpy", "pyzmq", "libzmq"), found))
