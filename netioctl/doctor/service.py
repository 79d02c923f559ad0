"""The service, where systemd runs."""

from __future__ import annotations

import os
import subprocess

from netioctl.doctor.finding import Finding, fail, ok, warn

_SYSTEMD = "/run/systemd/system"
_UNITS = ("netiod.service", "netiod.socket")


def unit(_run_dir: str) -> list[Finding]:
    """Whether netiod's units are there, and run."""
    if not os.path.isdir(_SYSTEMD):
        return [ok("service", "systemd does not run here: netiod is started by hand")]
    states = {each: _show(each) for each in _UNITS}
    service = states[_UNITS[0]]
    if service.get("LoadState") != "loaded":
        return [warn("service", "netiod.service is not installed", "sudo ./netio install")]
    if service.get("ActiveState") == "active":
        return [ok("service", "netiod.service is active")]
    if states[_UNITS[1]].get("ActiveState") == "active":
        return [ok("service", "netiod.socket starts netiod for the first who asks")]
    state = f"netiod.service is {service.get('ActiveState', 'in an unknown state')}"
    if service.get("ActiveState") == "failed":
        return [fail("service", state, "journalctl -u netiod -e says why")]
    return [warn("service", state, "sudo systemctl enable --now netiod.service")]


def _show(name: str) -> dict[str, str]:
    command = ["systemctl", "show", "--property=LoadState,ActiveState", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
