"""`sudo ./netio bench`: options, the order of things, the exit status."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from netioctl.wire.errors import NetioError
from tests.bench import machine, markdown, plots, versions, workload
from tests.bench.context import Context, Progress
from tests.bench.measurements import MEASUREMENTS, Measurement
from tests.bench.report import Report, table
from tests.bench.results import Result
from tests.bench.running import TOP, BenchError

#: Of repetitions, and of seconds: a typing error is not to load a machine for days.
_MOST = 100
_DOCS = TOP / "docs"
#: What may happen to a measurement; anything else is a defect in it.
_MISHAPS = (BenchError, NetioError, OSError, subprocess.SubprocessError)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Exit(IntEnum):
    OK = 0
    NOT_MEASURED = 1
    NOT_ROOT = 77
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write writes what all measurements found: leave out --only")
    if options.list:
        for each in MEASUREMENTS:
            print(f"{each.name:<14} {each.what}")
        return _Exit.OK
    chosen = [each for each in MEASUREMENTS if not options.only or each.name in options.only]
    if os.geteuid() != 0:
        print("the benchmark needs root: sudo ./netio bench", file=sys.stderr)
        return _Exit.NOT_ROOT
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        report = _measure(chosen, options.repetitions, options.seconds)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return _Exit.INTERRUPTED
    except _MISHAPS as error:
        print(f"the benchmark cannot run: {error}", file=sys.stderr)
        return _Exit.NOT_MEASURED
    print(table(report))
    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n"
    if options.json:
        options.json.write_text(text)
    if options.write:
        _DOCS.mkdir(exist_ok=True)
        _write(_DOCS / "benchmarks.json", text)
        figures = _write_plots(report)
        _write(_DOCS / "BENCHMARKS.md", markdown.document(report, MEASUREMENTS, figures))
    return _Exit.NOT_MEASURED if report.failures else _Exit.OK


def _measure(chosen: Sequence[Measurement], repetitions: int, seconds: float) -> Report:
    progress, disturbance = Progress(), machine.Disturbance()
    for pid in disturbance.daemons:
        print(f"another netiod runs (PID {pid}): its hooks change every number", file=sys.stderr)
    results: list[Result] = []
    failures: dict[str, str] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="netio-bench-") as name:
            scratch = Path(name)
            # The broker, which is not root, has to get at its run directory.
            scratch.chmod(0o755)
            workload.build(scratch)
            context = Context(repetitions, seconds, scratch, progress)
            with context.daemon() as daemon:
                about = {
                    **machine.describe(),
                    "backend": daemon.backend,
                    "others": versions.installed(),
                }
            for position, each in enumerate(chosen, 1):
                progress.begin(f"[{position}/{len(chosen)}] {each.what}:")
                try:
                    results += each.take(context)
                except _MISHAPS as error:
                    failures[each.name] = str(error)
    finally:
        progress.clear()
    settings: dict[str, Any] = {"repetitions": repetitions, "seconds": seconds}
    return Report(
        {**about, **disturbance.describe()},
        settings,
        tuple(results),
        failures,
        tuple(context.skipped),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netio bench",
        description="Measure what netio costs, with a netiod of its own and traffic on loopback.",
        epilog="Exit status: 0 measured, whether or not goals are met; 1 something could not be "
        "measured; 2 wrong usage; 77 not root; 130 interrupted.",
    )
    names = [each.name for each in MEASUREMENTS]
    parser.add_argument(
        "--repetitions", type=_positive(int), default=5, metavar="N", help="of each (5)"
    )
    parser.add_argument(
        "--seconds", type=_positive(float), default=1.0, metavar="S", help="of one run (1)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help="take only these measurements"
    )
    parser.add_argument("--list", action="store_true", help="name the measurements, and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write docs/BENCHMARKS.md with its plots and docs/benchmarks.json; not with --only",
    )
    return parser


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= _MOST:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number up to {_MOST}")
        return value

    return parse


def _interrupt(_number: int, _frame: Any) -> None:
    # From now on, what is running is ended in order, and a second Ctrl+C does not disturb that.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _write_plots(report: Report) -> list[markdown.Figure]:
    """Those that were written, and none of an earlier benchmark."""
    try:
        drawn = plots.draw(report.results)
    except ImportError as error:
        print(f"plots are left out: {error} (python3-matplotlib has it)", file=sys.stderr)
        drawn = []
    into = _DOCS / "benchmarks"
    into.mkdir(exist_ok=True)
    _give(into)
    for path in into.glob("*.svg"):
        path.unlink()
    for plot in drawn:
        _write(into / f"{plot.name}.svg", plot.svg)
    return [markdown.Figure(f"{into.name}/{plot.name}.svg", plot.title) for plot in drawn]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _give(path)


def _give(path: Path) -> None:
    """To whom its directory belongs to: this runs as root."""
    owner = path.parent.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
