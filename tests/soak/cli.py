"""`sudo ./netio soak`: options, what is run, the exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from tests.soak import week
from tests.soak.abuse import P99_MS, AbuseError, Scene
from tests.soak.abuser import KINDS
from tests.soak.fuzz import Fuzz, FuzzError

#: Cases of the fuzz, and seconds of each kind of abuse, unless told otherwise.
CASES, SECONDS = 1_000_000, 60
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Exit(IntEnum):
    OK = 0
    FAILED = 1
    NOT_ROOT = 77
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("the soak needs root: sudo ./netio soak", file=sys.stderr)
        return _Exit.NOT_ROOT
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with _scene() as scene:
            _fuzz(scene, range(options.first, options.first + options.cases))
            failures = [text for kind in options.only for text in _abuse(scene, kind, options)]
            failures += scene.defects()
        failures += _week(options.connections)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _Exit.INTERRUPTED
    except (FuzzError, AbuseError, OSError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return _Exit.FAILED
    for text in failures:
        print(f"soak: {text}", file=sys.stderr)
    return _Exit.FAILED if failures else _Exit.OK


@contextlib.contextmanager
def _scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="netio-soak-") as name:
        Path(name).chmod(0o755)
        with Scene(Path(name) / "run") as scene:
            yield scene


def _fuzz(scene: Scene, seeds: range) -> None:
    began, shown = time.monotonic(), 0.0

    def progress(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= 5 or done == len(seeds):
            shown = now
            rate = done / (now - began)
            print(f"fuzz: {done:,} of {len(seeds):,} cases, {rate:,.0f}/s", file=sys.stderr)

    if seeds:
        Fuzz(scene.control).run(seeds, progress)
        print(f"fuzz: {len(seeds):,} cases, each answered once, no defect", flush=True)


def _abuse(scene: Scene, kind: str, options: argparse.Namespace) -> list[str]:
    print(f"{kind}: {options.seconds:g} s", file=sys.stderr)
    seen = scene.abuse(kind, options.seconds)
    times = ", ".join(f"{name} p99 {t['p99']} ms (of {t['n']})" for name, t in seen.times.items())
    print(f"{kind}: another user's requests: {times}; broker {seen.rss >> 20} MB; {seen.did}")
    sys.stdout.flush()
    return [f"{kind}: {text}" for text in seen.complaints(P99_MS)]


def _week(connections: int) -> list[str]:
    if not connections:
        return []

    def progress(done: int, memory: int) -> None:
        text = f"week: {done:,} of {connections:,} connections, {memory >> 20} MB"
        print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="netio-soak-") as name:
        Path(name).chmod(0o755)
        wrong = week.run(Path(name) / "run", connections, progress)
    print(f"week: {connections:,} connections, {'; '.join(wrong) or 'totals exact'}", flush=True)
    return [f"week: {text}" for text in wrong]


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netio soak",
        description="Abuse a netiod of its own as an ordinary user, and see whether another user "
        "notices: first requests made at random, then each kind of abuse for a while. Then have it "
        "count a week's connections.",
        epilog="Exit status: 0 nobody noticed; 1 somebody did, stderr says how; 77 not root; "
        "130 interrupted.",
    )
    add = parser.add_argument
    add("--cases", type=int, default=CASES, metavar="N", help=f"of the fuzz (default {CASES:,})")
    add("--first", type=int, default=0, metavar="SEED", help="where its seeds begin (default 0)")
    add(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="N",
        help=f"of each kind of abuse (default {SECONDS})",
    )
    add(
        "--connections",
        type=int,
        default=week.CONNECTIONS,
        metavar="N",
        help=f"of a week (default {week.CONNECTIONS:,}; 0: leave it out)",
    )
    add(
        "--only",
        nargs="*",
        default=list(KINDS),
        choices=list(KINDS),
        metavar="KIND",
        help=f"kinds of abuse (default all: {', '.join(KINDS)})",
    )
    return parser
