"""What daemon and client need: kernel, libraries, configuration."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import netioctl
from netioctl.doctor.finding import Finding, Result, fail, ok, warn

#: Seconds that the daemon's own look at this machine may take.
_PATIENCE = 20.0
#: Module, its name as a distribution, and the packages that bring it.
_CLIENT = (
    ("click", "click", "python3-click"),
    ("zmq", "pyzmq", "python3-zmq (Debian, Ubuntu) or python3-pyzmq (Fedora, RHEL)"),
)


def of_daemon(_run_dir: str) -> list[Finding]:
    """What netiod.checkup says, in a process of its own: the client imports nothing of netiod."""
    place = Path(netioctl.__file__).parents[1]
    if not (place / "netiod" / "checkup.py").exists():
        text = "not installed beside netioctl: what it needs was not looked at"
        return [warn("netiod", text, "install netiod, unless it runs elsewhere")]
    # -I: root's doctor imports nothing from where it stands.
    code = "import runpy, sys; sys.path.insert(0, sys.argv[1]); " + (
        "runpy.run_module('netiod.checkup', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", code, str(place)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        rows = json.loads(done.stdout)
        return [
            Finding(row["check"], Result(row["result"]), row["text"], row["remedy"]) for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        text = f"its look at this machine failed: {type(error).__name__}"
        return [fail("netiod", text, f"{sys.executable} -m netiod.checkup says why")]


def of_client(_run_dir: str) -> list[Finding]:
    """The modules that netioctl imports."""
    found = []
    for module, name, packages in _CLIENT:
        check = f"{name} for netioctl"
        if importlib.util.find_spec(module) is None:
            found.append(fail(check, "not installed", f"install {packages}"))
            continue
        try:
            found.append(ok(check, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append(ok(check, "there, of a version that it does not say"))
    return found
