"""Imports go one way: commands, then session, then client, stats and render, then wire."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
#: Lower layers know nothing of higher ones.
LAYERS = (
    ("netioctl.wire",),
    (
        *("netioctl.fields", "netioctl.connecting", "netioctl.exit_status", "netioctl.signals"),
        "netioctl.doctor.finding",
    ),
    ("netioctl.answers", "netioctl.notices", "netioctl.procfs", "netioctl.failures"),
    (
        *("netioctl.stats", "netioctl.tally", "netioctl.targets"),
        *("netioctl.cgroups", "netioctl.choosing"),
        *("netioctl.exchange", "netioctl.client", "netioctl.stream"),
        *("netioctl.feed", "netioctl.outage"),
        "netioctl.arrays",
    ),
    ("netioctl.render",),
    ("netioctl.completion", "netioctl.shells"),
    ("netioctl.output", "netioctl.watching", "netioctl.filters", "netioctl.resolve"),
    ("netioctl.launch",),
    ("netioctl.polled", "netioctl.leasing"),
    ("netioctl.session", "netioctl.doctor"),
    ("netioctl.recording", "netioctl.exporter", "netioctl.aio"),
    ("netioctl.report",),
    (
        *("netioctl.screen", "netioctl.live", "netioctl.skips", "netioctl.terminal"),
        "netioctl.intervals",
    ),
    ("netioctl.fullscreen",),
    ("netioctl.top", "netioctl.picking"),
    ("netioctl.commands",),
    ("netioctl.main", "netioctl.verbs", "netioctl.demo"),
    ("netioctl.__main__",),
)

#: Modules that calculate with many events at once.
NUMERIC = {
    *("netioctl.recording.stepped", "netioctl.recording.sums"),
    *("netioctl.report.gather", "netioctl.arrays"),
}


def _files(package: str) -> list[Path]:
    return sorted((TOP / package).rglob("*.py"))


def _module(path: Path) -> str:
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file names in imports, also in functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            module = node.module or ""
            # "from netioctl import client" imports a module, "from zmq import SUB" does not.
            for name in node.names:
                inner = f"{module}.{name.name}"
                file = TOP / inner.replace(".", "/")
                yield inner if file.with_suffix(".py").exists() or file.is_dir() else module


def _layer(module: str) -> int | None:
    for at, names in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return at
    return None


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("path", _files("netioctl"), ids=_module)
def test_netioctl_imports_downwards(path: Path) -> None:
    module = _module(path)
    if module == "netioctl":
        return  # names what is public, wherever it is
    own = _layer(module)
    assert own is not None, f"{module} has no place in LAYERS"
    for imported in _imports(path):
        if not _within(imported, "netioctl") or imported == "netioctl":
            continue
        other = _layer(imported)
        assert other is not None, f"{module} imports {imported}, which has no place in LAYERS"
        assert other <= own, f"{module} imports {imported}"


@pytest.mark.parametrize("path", _files("netioctl"), ids=_module)
def test_netioctl_stays_light(path: Path) -> None:
    for imported in _imports(path):
        for package in ("netiod", "bcc"):
            assert not _within(imported, package), f"{path}: {imported}"
        if _within(imported, "numpy"):
            # One function of the first makes numpy types, for the daemon; the others are
            # imported when they are needed.
            assert _module(path) in {"netioctl.wire.layout", *NUMERIC}


@pytest.mark.parametrize("path", _files("netiod"), ids=_module)
def test_netiod_knows_of_netioctl_only_the_wire(path: Path) -> None:
    for imported in _imports(path):
        if _within(imported, "netioctl"):
            assert imported == "netioctl" or _within(imported, "netioctl.wire"), imported
        if _within(imported, "bcc"):
            assert _module(path) == "netiod.compiler"


def _loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not answer.stderr
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "netioctl.main",
        "netioctl.commands.list",
        "netioctl.commands.watch",
        "netioctl.doctor",
        "netioctl.commands.exporter",
        "netioctl.exporter.lease",
    ],
)
def test_what_takes_long_to_import_waits_until_it_is_needed(module: str) -> None:
    heavy = {"zmq", "numpy", "psutil", "bcc", "asyncio", "netioctl.wire.layout"}
    heavy |= {"prometheus_client", "opentelemetry"}
    assert not _loaded_by(module) & heavy


def test_the_doctor_looks_at_libraries_without_importing_them() -> None:
    assert not _loaded_by("netiod.checkup") & {"zmq", "numpy", "bcc"}


def test_verbs_are_imported_when_they_are_called() -> None:
    from netioctl.commands import COMMANDS

    loaded = _loaded_by("netioctl.main")
    files = {path.stem for path in (TOP / "netioctl" / "commands").glob("*.py")}
    assert files - set(COMMANDS) == {"__init__", "choosing", "options", "watch_options"}
    assert not {f"netioctl.commands.{verb}" for verb in COMMANDS} & loaded
