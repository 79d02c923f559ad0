"""The accuracy matrix and some system tests in each kernel: what was found, and what is wrong."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netiod.settings import BACKENDS
from tests.accuracy import page, results
from tests.accuracy.keeping import keep
from tests.accuracy.programs import AccuracyError, build
from tests.accuracy.results import Book, Operation, Run, Status, SystemTests
from tests.kernels.errors import KernelsError
from tests.kernels.machine import Shape, scratch
from tests.kernels.packages import Kernel
from tests.kernels.running import Ended, Job, run_all
from tests.kernels.what import PARTS, expected

#: Fewer exact operations than on any kernel mean that little was run.
_LEAST = 300
_COMMAND = "exec /usr/bin/python3 -m tests.kernels.guest"
#: Machines a kernel takes, one for each part.
MACHINES = len(PARTS)


@dataclass
class Found:
    """What a kernel came to. `wrong` is all that must not be so, a line each."""

    kernel: Kernel
    seconds: float
    runs: list[Run] = field(default_factory=list)
    tests: list[SystemTests] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def book(self) -> Book:
        """What is kept of it."""
        return Book(tuple(self.runs), tuple(self.tests))


def run(
    kernels: Sequence[Kernel], shape: Shape, at_a_time: int, write: bool, root: Path | None
) -> bool:
    """Run all of it in each kernel, with the programs below `root`; is it as it should be?

    What is found is printed, and with `write` kept.

    Raises:
        KernelsError: the generator cannot be built.
    """
    good = True
    book = Book()

    def told(found: Found) -> None:
        nonlocal good, book
        print(text(found), flush=True)
        good = good and not found.wrong
        book = results.merge(book, found.book)

    measure(kernels, shape, at_a_time, told, root)
    if write:
        keep(book)
    return good


def measure(
    kernels: Sequence[Kernel],
    shape: Shape,
    at_a_time: int,
    told: Callable[[Found], None],
    root: Path | None = None,
) -> None:
    """Run all of it in each kernel; `told` hears of each as it ends.

    Raises:
        KernelsError: the generator cannot be built.
    """
    place = scratch("matrix")
    try:
        generator = build(place, static=True)
        # A kernel's machines begin together, so that how long it takes can be compared.
        together = max(1, at_a_time // MACHINES)
        for first in range(0, len(kernels), together):
            some = kernels[first : first + together]
            jobs = [
                _job(kernel, names, root, place, generator) for kernel in some for names in PARTS
            ]
            ended = run_all(jobs, shape, at_a_time)
            for at in range(0, len(ended), MACHINES):
                told(judge(ended[at : at + MACHINES]))
    except AccuracyError as error:
        raise KernelsError(str(error)) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _job(
    kernel: Kernel, names: Sequence[str], root: Path | None, place: Path, generator: Path
) -> Job:
    what = " ".join(names)
    return Job(
        kernel,
        f"{_COMMAND} {what}",
        root,
        files=(generator,),
        results=place / kernel.suite,
        part=what,
    )


def text(found: Found) -> str:
    """What there is to say of a kernel, in a few lines."""
    lines = [f"{found.kernel.release}: {found.seconds:.0f} s"]
    for each in found.runs:
        lines.append(f"  {each.backend + ':':<12}{page.line(each)}")
        if each.failure:
            lines[-1] += f": {page.why(each)}"
    for tested in found.tests:
        counts = f"{tested.passed} passed, {len(tested.failed)} failed"
        lines.append(f"  {'tests:':<12}{counts}, {len(tested.skipped)} skipped")
        lines += [f"    skipped {name}: {why}" for name, why in tested.skipped]
    lines += [f"  OFF: {wrong}" for wrong in found.wrong]
    return "\n".join(lines)


def judge(parts: Sequence[Ended]) -> Found:
    """What a kernel's guests left behind, and what is wrong with that."""
    kernel, share = parts[0].job.kernel, parts[0].job.results
    assert share is not None
    outcomes = [ended.outcome for ended in parts]
    took = max(each.began + each.seconds for each in outcomes) - min(
        each.began for each in outcomes
    )
    found = Found(kernel, took)
    for ended in parts:
        outcome = ended.outcome
        if outcome.status is None:
            found.wrong.append(f"{ended.job.part}: {outcome.why}")
        elif outcome.status != 0:
            said = ended.output.strip().splitlines()[-1:] or ["no word why"]
            found.wrong.append(f"{ended.job.part}: status {outcome.status}: {said[0]}")
    for backend in BACKENDS:
        _add_run(found, backend, share)
    _add_tests(found, share)
    return found


def _add_run(found: Found, backend: str, share: Path) -> None:
    path = share / f"{backend}.json"
    if not path.exists():
        found.wrong.append(f"{backend}: no results{_last_words(share / f'{backend}.log')}")
        return
    (run,) = results.load(path).runs
    found.runs.append(run)
    if run.failure:
        if expected(backend, run.kernel):
            found.wrong.append(f"{backend}: does not run: {page.why(run)}")
        return
    found.wrong += [_off(backend, each) for each in run.operations if each.status is Status.OFF]
    exact = run.counts().get(Status.EXACT, 0)
    if exact < _LEAST:
        found.wrong.append(f"{backend}: no more than {exact} operations are exact")


def _off(backend: str, each: Operation) -> str:
    returned, counted = ("/".join(map(str, pair)) for pair in (each.expected, each.seen))
    words = f"{backend}: {each.family}/{each.name}: returned {returned}, counted {counted}"
    return f"{words} ({each.note})" if each.note else words


def _add_tests(found: Found, share: Path) -> None:
    if not found.runs:
        return  # which has been told
    first = found.runs[0]
    path = share / "tests.xml"
    if not path.exists():
        found.wrong.append(f"system tests: no results{_last_words(share / 'tests.log')}")
        return
    passed = 0
    failed: list[tuple[str, str]] = []
    skipped: list[tuple[str, str]] = []
    for case in ET.parse(path).iter("testcase"):
        title = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            failed.append((title, _short(bad[0])))
        elif skip is not None:
            skipped.append((title, _short(skip)))
        else:
            passed += 1
    when = (first.kernel, first.machine, first.date, first.bcc)
    found.tests.append(SystemTests(*when, passed, tuple(failed), tuple(skipped)))
    found.wrong += [f"{name}: {why}" for name, why in failed]
    if not passed:
        found.wrong.append("system tests: none passed")


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f": {lines[-1]}" if lines else ""


def _short(element: ET.Element) -> str:
    """The reason that pytest gives, on one line."""
    lines = element.get("message", "").splitlines() or [""]
    return lines[0][:200]
