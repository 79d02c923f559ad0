"""`sudo ./netio kernels`: options, which kernels, the exit status."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from tests.kernels import matrix, packages, userland
from tests.kernels.errors import KernelsError
from tests.kernels.machine import Shape, check_host
from tests.kernels.packages import SUITES, Kernel, Suite
from tests.kernels.running import Job, run_all

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Exit(IntEnum):
    OK = 0
    FAILED = 1
    NOT_ROOT = 77
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Boot kernels and run something in each; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write and options.command is not None:
        parser.error("--write writes what the matrix found: leave out --command")
    if os.geteuid() != 0:
        # Somebody else's files, like the user database's, are the guest's files too.
        print("the virtual machines need root: sudo ./netio kernels", file=sys.stderr)
        return _Exit.NOT_ROOT
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return _Exit.INTERRUPTED
    except (KernelsError, OSError) as error:
        print(f"kernels: {error}", file=sys.stderr)
        return _Exit.FAILED


def _run(options: argparse.Namespace) -> int:
    if options.list:
        return _list()
    check_host()
    only = options.only or ([options.userland] if options.userland else [])
    kernels, skipped = _kernels(only, options.renew)
    for suite, why in skipped:
        print(f"{suite.name}: skipped: {why}", flush=True)
    if not kernels:
        return _Exit.FAILED
    root = userland.fetch(options.userland, options.renew, _say) if options.userland else None
    shape = Shape(options.cpus, options.memory, options.limit, options.parallel)
    if options.command is not None:
        jobs = [Job(kernel, options.command, root=root, stream=True) for kernel in kernels]
        ended = run_all(jobs, shape, options.jobs)
        # One kernel: its command's own status, as if it had run here.
        statuses = [each.outcome.status for each in ended]
        if len(statuses) == 1 and statuses[0] is not None:
            return statuses[0]
        return _Exit.OK if statuses and not any(s != 0 for s in statuses) else _Exit.FAILED
    good = matrix.run(kernels, shape, options.jobs, options.write, root)
    return _Exit.OK if good and not skipped else _Exit.FAILED


def _list() -> int:
    for suite in SUITES:
        kernel = packages.cached(suite)
        what = f"{kernel.version:<14} {kernel.release}" if kernel else "not downloaded yet"
        print(f"{suite.name:<10} {suite.series or 'newest':<8} {what}")
    print(f"kept in {packages.cache_directory()}")
    return _Exit.OK


def _kernels(only: list[str], renew: bool) -> tuple[list[Kernel], list[tuple[Suite, str]]]:
    """The kernels to boot, and what had to be left out."""
    kernels: list[Kernel] = []
    skipped: list[tuple[Suite, str]] = []
    unknown = set(only)
    for suite in SUITES:
        # Which series sid has is known when it has been looked up.
        asked = {word for word in unknown if word in (suite.name, suite.series)}
        if only and not asked and suite.series:
            continue
        if only and not asked and not unknown:
            continue
        try:
            kernel = (None if renew else packages.cached(suite)) or packages.fetch(suite, _say)
        except KernelsError as error:
            skipped.append((suite, str(error)))
            unknown -= asked
            continue
        asked |= {word for word in unknown if f"{kernel.version}.".startswith(f"{word}.")}
        unknown -= asked
        if asked or not only:
            kernels.append(kernel)
    if unknown:
        raise KernelsError(f"no kernel here is called {' or '.join(sorted(unknown))}: see --list")
    return kernels, skipped


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./netio kernels",
        description="Boots Debian's kernels in QEMU, on this machine's own files, and runs the "
        "accuracy matrix and some system tests in each.",
        epilog="Exit status: 0 nothing is off; 1 something is, or a kernel could not be had or did "
        "not come to its end; 77 not root; 130 interrupted. With --command and one kernel: the "
        "status of the command.",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="KERNEL", help="versions (6.1) or suites (sid)"
    )
    parser.add_argument(
        "--command", metavar="COMMAND", help="run this shell command as root instead"
    )
    parser.add_argument(
        "--userland",
        metavar="SUITE",
        choices=[suite.name for suite in SUITES],
        help="with the Python and BCC of another suite (trixie, sid ...), on its kernel unless "
        "--only says another",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=matrix.MACHINES,
        help=f"machines at a time ({matrix.MACHINES}: the parts of one kernel)",
    )
    parser.add_argument("--cpus", type=_positive, default=2, help="processors of each (2)")
    parser.add_argument("--memory", type=_memory, default="2G", help="memory of each (2G)")
    parser.add_argument(
        "--parallel",
        action="store_true",
        help="let a machine's processors run at once, where QEMU keeps the guest whole (7.2 does "
        "not always)",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        default=Shape.limit,
        metavar="SECONDS",
        help=f"for each ({Shape.limit:.0f})",
    )
    parser.add_argument("--list", action="store_true", help="show what there is, and end")
    parser.add_argument("--renew", action="store_true", help="look for newer kernels")
    parser.add_argument("--write", action="store_true", help="add the results to docs/ACCURACY.md")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if not 0 < number < 100_000:
        raise argparse.ArgumentTypeError(f"{text} is out of range")
    return number


def _memory(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*[MG]", text):
        raise argparse.ArgumentTypeError(f"{text} is not a size, such as 2G or 1500M")
    return text


def _interrupt(_number: int, _frame: Any) -> None:
    for number in _SIGNALS:  # one is enough
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
