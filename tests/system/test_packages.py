"""Debian packages: lintian finds no fault; installed, run and removed in a clean Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netioctl import __version__
from tests.kernels import userland
from tests.kernels.errors import KernelsError
from tests.system.conftest import TOP
from tests.system.test_kernels import unavailable
from tests.system.test_service import _PACKAGES, _SUITE

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is missing")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("packages") / "debs"
    done = subprocess.run(
        [TOP / "netio", "deb", directory], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = [directory / f"{name}_{__version__}_all.deb" for name in ("netiod", "netioctl")]
    assert done.stdout.splitlines() == list(map(str, names))
    return names


def test_lintian_finds_no_error(packages: list[Path]) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    command = ["lintian", "--fail-on", "error,warning", "--allow-root", *map(str, packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_same_source_makes_the_same_packages(packages: list[Path], tmp_path: Path) -> None:
    made = []
    for name in "ab":
        command = [TOP / "netio", "deb", tmp_path / name]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        subprocess.run(command, env=environment, capture_output=True, check=True)
        made.append([(tmp_path / name / package.name).read_bytes() for package in packages])
    assert made[0] == made[1]


@pytest.mark.slow
def test_installed_run_and_purged_in_a_clean_debian(packages: list[Path]) -> None:
    try:
        root = userland.fetch(_SUITE.name, False, print, f"{_SUITE.name}-systemd", _PACKAGES)
    except KernelsError as error:
        unavailable(str(error))
    script = TOP / "tests" / "service" / "packages.sh"
    command = ["unshare", "--mount", script, root, packages[0].parents[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("== nothing is left\n")
