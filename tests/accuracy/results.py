"""What was found, and the file that keeps it for every kernel."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    def key(self) -> tuple[object, ...]:
        """What this result replaces an older one of, which an earlier build of the series left."""
        return series(self.kernel), self.machine, self.backend, self.bcc

    def counts(self) -> Mapping[Status, int]:
        """Operations by status."""
        return Counter(each.status for each in self.operations)

    @property
    def good(self) -> bool:
        """Is nothing off that is not listed? A back-end that this kernel refuses is not off."""
        return not any(each.status is Status.OFF for each in self.operations)


class SystemTests(NamedTuple):
    """What the system tests said on a kernel: `failed` and `skipped` are (name, why)."""

    kernel: str
    machine: str
    date: str
    bcc: str
    passed: int
    failed: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What this result replaces an older one of."""
        return series(self.kernel), self.machine, self.bcc

    @property
    def good(self) -> bool:
        """Did some pass, and did none fail?"""
        return self.passed > 0 and not self.failed


class Book(NamedTuple):
    """All that a file keeps."""

    runs: tuple[Run, ...] = ()
    tests: tuple[SystemTests, ...] = ()

    @property
    def good(self) -> bool:
        """Is all of it?"""
        return all(run.good for run in self.runs) and all(each.good for each in self.tests)


def new_run(
    backend: str, operations: Iterable[Operation], failure: str = "", hooks: Sequence[str] = ()
) -> Run:
    """A run on this machine, now."""
    system = os.uname()
    return Run(
        system.release,
        system.machine,
        backend,
        today(),
        bcc_version(),
        failure,
        tuple(hooks),
        tuple(operations),
    )


def today() -> str:
    """The date of a result, as YYYY-MM-DD."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def bcc_version() -> str:
    """BCC's version as it calls itself, or "unknown"."""
    command = ["/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def load(path: Path) -> Book:
    """What a file keeps.

    Raises:
        ValueError: it is not one of ours.
    """
    data = json.loads(path.read_text())
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{path}: not results of format {FORMAT}")
    tests = tuple(_tested(each) for each in data.get("tests", ()))
    return Book(tuple(_from_json(each) for each in data["runs"]), tests)


def save(path: Path, book: Book) -> None:
    """Write results to a file, oldest kernel first."""
    data = {
        "format": FORMAT,
        "runs": [_to_json(run) for run in sorted(book.runs, key=_order)],
        "tests": [each._asdict() for each in sorted(book.tests, key=_order)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def merge(older: Book, newer: Book) -> Book:
    """All of both; of two for the same series of kernels, back-end and BCC the newer."""
    runs = {run.key: run for book in (older, newer) for run in book.runs}
    tests = {each.key: each for book in (older, newer) for each in book.tests}
    return Book(tuple(runs.values()), tuple(tests.values()))


def _order(each: Run | SystemTests) -> tuple[object, ...]:
    backend = each.backend if isinstance(each, Run) else ""
    return version(each.kernel), each.machine, version(each.bcc), backend


def version(release: str) -> tuple[int, ...]:
    """The numbers that a release begins with, to sort by."""
    numbers = release.split("-")[0].split("+")[0].split(".")
    return tuple(int(each) for each in numbers if each.isdigit())


def series(kernel: str) -> str:
    """6.1 of 6.1.0-50-amd64."""
    return ".".join(map(str, version(kernel)[:2]))


#: Of these only the names are kept: sizes matter where they differ without being expected to.
_BY_NAME = (Status.EXACT, Status.KNOWN, Status.SPARED)


def _to_json(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = run._asdict()
    names: dict[str, dict[str, list[str]]] = {}
    absent: dict[str, dict[str, list[str]]] = {}
    others = []
    for each in run.operations:
        if each.status in _BY_NAME:
            families = names.setdefault(each.status.value, {})
        elif each.status is Status.ABSENT and each.expected == each.seen == (0, 0):
            families = absent.setdefault(each.note, {})
        else:
            others.append(dict(each._asdict(), status=each.status.value))
            continue
        families.setdefault(each.family, []).append(f"{each.name}:{each.direction}")
    for key, groups in (("names", names), ("absent", absent)):
        data[key] = {
            title: {family: " ".join(found) for family, found in families.items()}
            for title, families in groups.items()
        }
    data["operations"] = others
    return data


def _from_json(data: Mapping[str, Any]) -> Run:
    operations = [
        Operation(family, name, direction, Status(status))
        for status, families in data["names"].items()
        for family, name, direction in _triples(families)
    ]
    operations += [
        Operation(family, name, direction, Status.ABSENT, note=note)
        for note, families in data.get("absent", {}).items()
        for family, name, direction in _triples(families)
    ]
    for each in data["operations"]:
        given = dict(each, status=Status(each["status"]))
        given["expected"], given["seen"] = tuple(each["expected"]), tuple(each["seen"])
        operations.append(Operation(**given))
    given = {name: data[name] for name in Run._fields if name not in ("operations", "hooks")}
    return Run(**given, hooks=tuple(data["hooks"]), operations=tuple(operations))


def _triples(families: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for family, names in families.items():
        for each in names.split():
            name, _, direction = each.partition(":")
            yield family, name, direction


def _tested(data: Mapping[str, Any]) -> SystemTests:
    pairs = {name: tuple((one, two) for one, two in data[name]) for name in ("failed", "skipped")}
    return SystemTests(**{**data, **pairs})
