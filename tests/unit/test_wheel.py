"""A wheel of the checkout: what is in it, and that the commands which it installs start."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netioctl import __version__

TOP = Path(__file__).parents[2]
PACKAGES = ("netiod", "netioctl", "bpf")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the distribution's setuptools without the network."""
    pytest.importorskip("wheel")
    source = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(TOP / name, source)
    for name in PACKAGES:
        shutil.copytree(TOP / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    name = run(sys.executable, "-c", code, cwd=source).splitlines()[-1]
    return source / name


def test_a_wheel_holds_every_source_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(TOP))
        for package in PACKAGES
        for path in (TOP / package).rglob("*.*")
        if path.suffix != ".pyc"
    }
    wanted -= {"bpf/include/README.md"}
    assert inside == {name.replace("bpf/", "netiod/bpf/", 1) for name in wanted}
    assert {"netiod/bpf/core.c", "netioctl/py.typed", "netioctl/wire/PROTOCOL.md"} <= inside


def test_commands_of_a_wheel_start(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", ".", cwd=tmp_path)
    (site,) = (tmp_path / "lib").glob("python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (entries,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        scripts = dict(
            line.split(" = ")
            for line in archive.read(entries).decode().splitlines()
            if " = " in line
        )
    assert set(scripts) == {"netiod", "netioctl"}
    for name, entry in scripts.items():
        module, _, function = entry.partition(":")
        # What an installer writes into bin.
        start = f"import sys; from {module} import {function}; sys.exit({function}())"
        said = run(tmp_path / "bin/python3", "-I", "-c", start, "--version", cwd=tmp_path)
        assert said.splitlines()[0] == f"{name} {__version__}"
