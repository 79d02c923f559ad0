"""docs/BENCHMARKS.md: the results for readers."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.measurements import Measurement
from tests.bench.report import HEADS, Report, rows, skips

#: Findings that no run makes anew.
_TRIED = Path(__file__).with_name("tried.md")
_INTRODUCTION = """\
# Benchmarks

Written by `sudo ./netio bench --write`, which measures all of this in one run. Run it on your
own machine with `sudo ./netio bench`; `--list` names the measurements, `--only` takes some of
them. It starts a netiod of its own on a temporary run directory, makes its traffic on loopback,
and leaves nothing behind. The numbers behind the table, every repetition among them, are in
[benchmarks.json](benchmarks.json).
"""

_READING = """\
## How to read it

A result is the median of its repetitions, the spread their lowest and highest value. Shares
hold on machines of this kind; absolute numbers are this machine's. A goal that is missed says
"falls short": the command ends with status 0 all the same, and with 1 only if something could
not be measured.
"""


class Figure(NamedTuple):
    """`path`: from the file's directory."""

    path: str
    title: str


def document(
    report: Report, measurements: Sequence[Measurement], figures: Sequence[Figure] = ()
) -> str:
    """The whole file."""
    pictures = [f"![{figure.title}]({figure.path})\n" for figure in figures]
    parts = [_INTRODUCTION, _table(report), *pictures, _machine(report), _READING]
    for each in measurements:
        text = f"**{each.what[0].upper()}{each.what[1:]}** (`{each.name}`). {each.how}"
        parts.append(textwrap.fill(text, 100, break_on_hyphens=False) + "\n")
    return "\n".join([*parts, _TRIED.read_text()])


def _table(report: Report) -> str:
    lines = [f"| {' | '.join(HEADS)} |", "| --- | ---: | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in [*rows(report.results), *skips(report.skipped)]]
    text = "\n".join(lines).replace(">=", "≥").replace("<=", "≤").replace(" .. ", " … ")
    failures = "".join(f"\nNot measured: {n}: {why}\n" for n, why in report.failures.items())
    return f"## Results\n\n{text}\n{failures}"


def _machine(report: Report) -> str:
    m, s = report.machine, report.settings
    kind = "virtual machine" if m["virtual"] else "machine"
    stolen = f"{m['stolen']:.1%} of the CPU time was stolen by other machines"
    return f"""\
## Machine

| | |
| --- | --- |
| date | {m["date"]} |
| processor | {m["processor"]}, {m["cores"]} cores, {m["architecture"]}, {kind} |
| memory | {m["memory_mb"]:,} MB |
| system | {m["system"]}, kernel {m["kernel"]} |
| netio | {m["netio"]}, back-end `{m["backend"]}` |
| versions | Python {m["python"]}, numpy {m["numpy"]}, pyzmq {m["pyzmq"]}, libzmq {m["libzmq"]} |
| others | {", ".join(f"{name} {version}" for name, version in m["others"].items())} |
| repetitions | {s["repetitions"]}, runs of {s["seconds"]:g} s |
| disturbance | load {m["load_before"]:.2f} before; {stolen}; {m["other_daemons"]} other netiod |
"""
