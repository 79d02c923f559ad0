"""netiod under systemd, on a Debian of its own in a virtual machine: tests/service/inside.py."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import pytest

from tests.kernels import packages, userland
from tests.kernels.errors import KernelsError
from tests.kernels.machine import Machine, Shape, check_host
from tests.system.conftest import TOP
from tests.system.test_kernels import _limit, unavailable

__all__ = ["_limit"]

_SUITE = next(suite for suite in packages.SUITES if suite.name == "bookworm")
_INIT = TOP / "tests" / "service" / "init.sh"
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "util-linux", "procps", "passwd"),
    *("python3", "python3-bpfcc", "python3-zmq", "python3-numpy", "python3-psutil"),
    *("python3-click", "python3-prometheus-client"),
)
_SECONDS = 600


def _root() -> Path:
    try:
        check_host()
        # Another list of packages makes another root file system.
        name = f"{_SUITE.name}-{zlib.crc32(' '.join(_PACKAGES).encode()):08x}"
        return userland.fetch(_SUITE.name, False, print, name, _PACKAGES)
    except KernelsError as error:
        unavailable(str(error))


@pytest.mark.slow
def test_a_service_from_its_installation_to_its_removal() -> None:
    root = _root()
    kernel = packages.cached(_SUITE) or packages.fetch(_SUITE, print)
    said: list[bytes] = []
    with Machine(kernel, Shape(limit=_SECONDS), _INIT) as machine:
        (machine.share / "root").write_text(f"{root}\n")
        outcome = machine.run("/usr/bin/python3 tests/service/inside.py", TOP, said.append)
    sys.stdout.write(b"".join(said).decode("utf-8", "replace"))
    assert (outcome.status, outcome.why) == (0, ""), outcome.console
