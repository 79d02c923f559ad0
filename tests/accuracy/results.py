"""What was found, and the file that keeps it for every kernel."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

#: Version of the file's format.
FORMAT = 1


class Status(str, Enum):
    """How an operation came out."""

    EXACT = "exact"
    #: Not all was counted, but netiod says how many operations are missing, rightly.
    LOSS_TOLD = "loss told"
    #: Not exact, as exceptions.py says.
    KNOWN = "known exception"
    #: Exact, though exceptions.py says that it is not.
    SPARED = "exact after all"
    #: This kernel lacks it: nothing moved, and nothing was counted.
    ABSENT = "not on this kernel"
    OFF = "OFF"


class Operation(NamedTuple):
    """An operation: bytes (sent, received) that the calls returned, and that netio counted."""

    family: str
    name: str
    direction: str
    status: Status
    expected: tuple[int, int] = (0, 0)
    seen: tuple[int, int] = (0, 0)
    note: str = ""


class Run(NamedTuple):
    """A back-end on a kernel. `failure` says why it could not run at all, or is empty."""

    kernel: str
    machine: str
    backend: str
    date: str
    bcc: str
    failure: str
    hooks: tuple[str, ...]
    operations: tuple[Operation, ...]

    @property
    def key(self) -> str:
        """What this result replaces an older one of."""
        return f"{self.kernel} {self.machine} {self.backend}"

    def counts(self) -> Mapping[Status, int]:
        """Operations by status."""
        return Counter(each.status for each in self.operations)

    @property
    def good(self) -> bool:
        """Is nothing off that is not listed? A back-end that this kernel refuses is not off."""
        return not any(each.status is Status.OFF for each in self.operations)


def new_run(
    backend: str, operations: Iterable[Operation], failure: str = "", hooks: Sequence[str] = ()
) -> Run:
    """A run on this machine, now."""
    system = os.uname()
    return Run(
        system.release,
        system.machine,
        backend,
        time.strftime("%Y-%m-%d", time.gmtime()),
        _bcc_version(),
        failure,
        tuple(hooks),
        tuple(operations),
    )


def _bcc_version() -> str:
    command = ["/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def load(path: Path) -> list[Run]:
    """The runs in a file.

    Raises:
        ValueError: it is not one of ours.
    """
    data = json.loads(path.read_text())
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{path}: not results of format {FORMAT}")
    return [_from_json(each) for each in data["runs"]]


def save(path: Path, runs: Iterable[Run]) -> None:
    """Write runs to a file, oldest kernel first."""
    ordered = sorted(runs, key=lambda run: (version(run.kernel), run.machine, run.backend))
    data = {"format": FORMAT, "runs": [_to_json(run) for run in ordered]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def merge(older: Iterable[Run], newer: Iterable[Run]) -> list[Run]:
    """All runs; of two for the same kernel and back-end the newer."""
    return list({run.key: run for each in (older, newer) for run in each}.values())


def version(kernel: str) -> tuple[int, ...]:
    """The numbers that a kernel's release begins with, to sort by."""
    numbers = kernel.split("-")[0].split("+")[0].split(".")
    return tuple(int(each) for each in numbers if each.isdigit())


#: Of these only the names are kept: sizes matter where they differ without being expected to.
_BY_NAME = (Status.EXACT, Status.KNOWN, Status.SPARED)


def _to_json(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = run._asdict()
    names: dict[str, dict[str, list[str]]] = {}
    for each in run.operations:
        if each.status in _BY_NAME:
            families = names.setdefault(each.status.value, {})
            families.setdefault(each.family, []).append(f"{each.name}:{each.direction}")
    data["names"] = {
        status: {family: " ".join(found) for family, found in families.items()}
        for status, families in names.items()
    }
    data["operations"] = [
        dict(each._asdict(), status=each.status.value)
        for each in run.operations
        if each.status not in _BY_NAME
    ]
    return data


def _from_json(data: Mapping[str, Any]) -> Run:
    operations = [
        Operation(family, *name.split(":"), Status(status))
        for status, families in data["names"].items()
        for family, names in families.items()
        for name in names.split()
    ]
    for each in data["operations"]:
        given = dict(each, status=Status(each["status"]))
        given["expected"], given["seen"] = tuple(each["expected"]), tuple(each["seen"])
        operations.append(Operation(**given))
    given = {name: data[name] for name in Run._fields if name not in ("operations", "hooks")}
    return Run(**given, hooks=tuple(data["hooks"]), operations=tuple(operations))
