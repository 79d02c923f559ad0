"""`sudo ./netio accuracy`: options, the order of things, the exit status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from netiod.backends import BACKENDS
from tests.accuracy import matrix, page, results
from tests.accuracy.beside import Turns, own_network
from tests.accuracy.keeping import keep
from tests.accuracy.programs import AccuracyError, Daemon, Generator, build, private_daemon
from tests.accuracy.results import Book, Operation, Run

#: Families that take all CPUs for themselves.
_LOAD = ("load",)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Exit(IntEnum):
    OK = 0
    OFF = 1
    NOT_ROOT = 77
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.merge:
            book = Book()
            for path in options.merge:
                book = results.merge(book, results.load(path))
            _keep(book, options)
            return _Exit.OK if book.good else _Exit.OFF
        if options.write and options.only:
            parser.error("--write keeps what all operations found: leave out --only")
        if os.geteuid() != 0:
            print("the accuracy matrix needs root: sudo ./netio accuracy", file=sys.stderr)
            return _Exit.NOT_ROOT
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        runs = _run(options)
        _keep(Book(tuple(runs)), options)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return _Exit.INTERRUPTED
    except (AccuracyError, OSError, ValueError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return _Exit.OFF
    print(page.brief(runs))
    chosen = [run for run in runs if run.backend in (options.backend or ())]
    if any(run.failure for run in chosen) or all(run.failure for run in runs):
        return _Exit.OFF
    return _Exit.OK if all(run.good for run in runs) else _Exit.OFF


def _run(options: argparse.Namespace) -> list[Run]:
    with tempfile.TemporaryDirectory(prefix="netio-accuracy-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # the broker, who is not root, looks in
        program = options.generator or build(scratch)
        only = matrix.Filter(options.only or (), Generator.families(program))
        turns = None
        if options.beside:
            turns = Turns(options.beside)
            own_network()
        names = options.backend or [backend.name for backend in BACKENDS]
        return [_run_backend(backend, program, only, scratch, turns) for backend in names]


class _Part(matrix.Filter):
    """What `whole` wants, of the families that are load, or of all others."""

    def __init__(self, whole: matrix.Filter, load: bool) -> None:
        self._whole, self._load = whole, load

    def wants(self, family: str, op: str) -> bool:
        return self.wants_family(family) and self._whole.wants(family, op)

    def wants_family(self, family: str) -> bool:
        return (family in _LOAD) is self._load and self._whole.wants_family(family)


def _run_backend(
    backend: str, program: Path, only: matrix.Filter, scratch: Path, turns: Turns | None
) -> Run:
    print(f"== {backend} on {os.uname().release}: bytes that calls returned, and that netio saw")
    operations: list[Operation] = []
    if turns is not None:
        turns.join()
    try:
        with private_daemon(scratch, backend) as daemon:
            hooks = daemon.hooks()["hooks"]
            for each in _operations(daemon, backend, program, only, turns):
                operations.append(each)
                _progress("")
                print(_line(each), flush=True)
    except AccuracyError as error:
        _progress("")
        if operations:
            raise
        print(f"does not run: {error}")
        return results.new_run(backend, (), str(error))
    return results.new_run(backend, operations, hooks=[str(each) for each in hooks])


def _operations(
    daemon: Daemon, backend: str, program: Path, only: matrix.Filter, turns: Turns | None
) -> Iterator[Operation]:
    if turns is None:
        yield from matrix.run(daemon, backend, program, only, _progress)
        return
    yield from matrix.run(daemon, backend, program, _Part(only, False), _progress)
    with turns.alone():
        yield from matrix.run(daemon, backend, program, _Part(only, True), _progress)


def _line(each: Operation) -> str:
    expected, seen = (_bytes(each.direction, pair) for pair in (each.expected, each.seen))
    call = f"{each.family:<16} {each.name:<24} {each.direction}"
    note = f": {each.note}" if each.note else ""
    return f"{call} {expected:>13} {seen:>13} {each.status.value}{note}"


def _bytes(direction: str, pair: tuple[int, int]) -> str:
    sent, received = pair
    if direction == "send" and not received:
        return str(sent)
    if direction == "recv" and not sent:
        return str(received)
    return f"{sent}/{received}"


def _progress(what: str) -> None:
    """What is being run, where somebody looks: a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _keep(book: Book, options: argparse.Namespace) -> None:
    if options.json:
        results.save(options.json, book)
    if options.write:
        keep(book)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netio accuracy",
        description="Move known numbers of bytes by every call, through every family of sockets, "
        "and compare what the calls returned with what netio counted.",
        epilog="Exit status: 0 all is exact, or an exception that is listed; 1 something is not; "
        "77 not root; 130 interrupted.",
    )
    parser.add_argument(
        "--backend",
        nargs="+",
        metavar="NAME",
        choices=[backend.name for backend in BACKENDS],
        help="back-ends to run (default: all that netiod has)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PATTERN",
        help="families, operations, or FAMILY/OPERATION, as shell patterns",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument(
        "--write", action="store_true", help="add them to docs/accuracy.json, renew ACCURACY.md"
    )
    parser.add_argument(
        "--merge",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="run nothing: take results that --json wrote, on other kernels too",
    )
    parser.add_argument(
        "--generator", type=Path, metavar="FILE", help="a generator that is compiled already"
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="FILE",
        help="others run at the same time with the same FILE: take a network of its own, and turns "
        "under load",
    )
    return parser
