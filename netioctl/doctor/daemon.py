"""The daemon that should answer, and its run directory."""

from __future__ import annotations

import os
import stat
from typing import Any

from netioctl import __version__
from netioctl.client import Client
from netioctl.doctor.finding import Finding, fail, ok, warn
from netioctl.wire import control
from netioctl.wire.errors import DaemonUnreachable, NetioError

#: Seconds that the daemon may take for an answer.
_PATIENCE = 2.0
_START = "sudo systemctl start netiod, or: sudo netiod"


def run_directory(run_dir: str) -> list[Finding]:
    """Whether it is there, root's, and open to all who may ask."""
    try:
        found = os.stat(run_dir)
    except OSError as error:
        text = f"{run_dir}: {error.strerror}"
        return [fail("run directory", text, f"{_START}; choose another: --run-dir DIR")]
    mode = stat.S_IMODE(found.st_mode)
    text = f"{run_dir}, mode {mode:04o}"
    if not stat.S_ISDIR(found.st_mode):
        return [fail("run directory", f"{run_dir} is not a directory", f"sudo rm {run_dir}")]
    if found.st_uid != 0 or mode & 0o022:
        remedy = f"sudo chown root: {run_dir}; sudo chmod 755 {run_dir}"
        return [fail("run directory", f"{text}: others than root may write there", remedy)]
    if mode & 0o111 != 0o111:
        return [warn("run directory", f"{text}: closed to users", f"sudo chmod 755 {run_dir}")]
    return [ok("run directory", text)]


def answers(run_dir: str) -> list[Finding]:
    """Whether it answers, which version that is, and what it cannot see."""
    path = os.path.join(run_dir, control.SOCKET_NAME)
    try:
        with Client(run_dir, timeout=_PATIENCE) as client:
            status = client.status()
            return [_version(client.server.version, path), *_backend(status), *_lost(status)]
    except DaemonUnreachable as error:
        why, *more = str(error).splitlines()
        return [fail("daemon", why, more[0] if more else _START)]
    except NetioError as error:
        return [fail("daemon", str(error), "install the same version of netiod and netioctl")]


def _version(version: str, path: str) -> Finding:
    text = f"netiod {version} answers at {path}"
    if version == __version__:
        return ok("daemon", text)
    remedy = "install the same version of both; restart netiod after an upgrade"
    return warn("daemon", f"{text}, and this is netioctl {__version__}", remedy)


def _backend(status: dict[str, Any]) -> list[Finding]:
    """The hooks that are in place; nothing of what they lack stops netio."""
    backend = status.get("backend")
    if not isinstance(backend, dict):
        return []
    name = str(backend.get("name"))
    blind = [str(each) for each in backend.get("blind") or ()]
    missing = [each for each in backend.get("missing") or () if isinstance(each, dict)]
    if not blind and not missing:
        return [ok("back-end", f"{name} sees everything")]
    found = [warn("back-end", f"{name} cannot see {each}") for each in blind]
    for each in missing:
        hook, why = (str(each.get(key)) for key in ("hook", "why"))
        found.append(warn("back-end", f"{name} lacks {hook}: {why}"))
    remedy = "nothing if you can do without; README, Limits, has what each kernel allows"
    return [*found[:-1], found[-1]._replace(remedy=remedy)]


def _lost(status: dict[str, Any]) -> list[Finding]:
    """Losses so far, which only operators are told."""
    lost = status.get("lost")
    lost = lost if isinstance(lost, dict) else {}
    counts = {str(key): each for key, each in lost.items() if isinstance(each, int) and each}
    if not counts:
        return []
    text = ", ".join(f"{key} {count:,}" for key, count in counts.items())
    return [warn("losses", text, "README, Troubleshooting, has what each means")]
