"""Versions of the programs that netio is compared with, and of those that make the traffic."""

from __future__ import annotations

import re
import subprocess

from tests.bench.running import ENVIRONMENT, Unavailable, find
from tests.bench.servers import NGINX_UNPACKED

_BCC = ("python3", "-c", "import bcc; print(bcc.__version__)")
#: By the name to show.
_COMMANDS = {
    "BCC": _BCC,
    "bpftrace": ("bpftrace", "--version"),
    "strace": ("strace", "--version"),
    "perf": ("perf", "--version"),
    "nethogs": ("nethogs", "-V"),
    "nginx": ("nginx", "-v"),
    "wrk": ("wrk", "-v"),
    "Redis": ("redis-benchmark", "--version"),
}


def installed() -> dict[str, str]:
    """The version of each of them that is there; "unknown" where it does not tell."""
    found = {}
    for name, (program, *arguments) in _COMMANDS.items():
        try:
            command = [find(program, NGINX_UNPACKED), *arguments]
            said = subprocess.run(
                command,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=10,
                check=False,
            )
        except (Unavailable, OSError, subprocess.TimeoutExpired):
            continue
        found[name] = version(said.stdout.decode(errors="replace"))
    return found


def version(text: str) -> str:
    """The first version in what a program prints."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return match[0] if match else "unknown"
