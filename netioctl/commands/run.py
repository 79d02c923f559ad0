"""`netioctl run`: start a program, watched from before its first instruction."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.launch import Launch
from netioctl.output import say
from netioctl.session import Session
from netioctl.targets import Targets
from netioctl.wire.errors import NetioError

if TYPE_CHECKING:
    from netioctl.answers import Summary


@click.command(
    short_help="Start a program and sum up what it sends and receives.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the totals to FILE instead of stderr.",
)
@click.option("--json", "as_json", is_flag=True, help="The totals as one JSON object.")
@options.run_dir
@click.argument("command_line", nargs=-1, required=True, metavar="[--] CMD [ARGUMENT]...")
def command(command_line: tuple[str, ...], output: str | None, as_json: bool) -> int:
    """Start CMD as you, watched with all its children from before its first instruction, and print
    the totals when it has ended.

    \b
    Examples:
      netioctl run curl -s -o page.html http://127.0.0.1:8080/
      netioctl run -- sh -c 'curl -s http://127.0.0.1:8080/ | wc -c'
      netioctl run --json -o totals.json curl -so page http://127.0.0.1:8080/

    stdin, stdout and stderr are CMD's own; the totals follow on stderr. Children that outlive CMD
    are counted up to its end. Ctrl+C is left to CMD.

    Exit status is CMD's, 128 + N if signal N ended it; 127 if CMD is not found, 126 if it cannot
    be executed, and 125 if netioctl failed.
    """
    try:
        return _run(command_line, output, as_json)
    except NetioError as error:
        say(f"netioctl: {error}")
        return ExitStatus.RUN_FAILED


def _run(command_line: Sequence[str], output: str | None, as_json: bool) -> int:
    with contextlib.ExitStack() as stack:
        file = None
        if output is not None:
            try:
                # Before CMD starts: afterwards its traffic could not be had again.
                file = stack.enter_context(open(output, "w", encoding="utf-8"))
            except OSError as error:
                say(f"netioctl: cannot write {output}: {error.strerror}")
                return ExitStatus.RUN_FAILED
        client = stack.enter_context(options.connect())
        launch = stack.enter_context(Launch(command_line))
        targets = Targets((launch.pid,), (), follow=True)
        session = stack.enter_context(Session(client, targets, stream=False))
        session.attach()
        if options.report(session.errors):
            return ExitStatus.RUN_FAILED
        with _signals_are_for(launch.pid):
            status = launch.start()
            if status is None:
                _follow(session, launch)
                status = launch.wait()
            else:
                return status
        totals = session.summary()
        options.report(totals.errors)
        text = _text(totals, as_json)
        if file is not None:
            file.write(text)
        else:
            print(text, end="", file=sys.stderr, flush=True)
        return status


def _follow(session: Session, launch: Launch) -> None:
    """Until CMD has ended, take in what the daemon tells."""
    from netioctl.watching import Gone

    session.register(launch.descriptor, select.POLLIN)
    while launch.descriptor not in session.wait(None):
        for item in session.read():
            if isinstance(item, Gone) and item.reason is not None:
                pid, comm = item.process.pid, item.process.comm
                say(f"netioctl: {pid} ({comm}) is watched no longer: {item.reason}")
    session.unregister(launch.descriptor)


@contextlib.contextmanager
def _signals_are_for(pid: int) -> Iterator[None]:
    """What the terminal sends, CMD gets anyway; what is sent to us alone is passed on."""

    def forward(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in (signal.SIGINT, signal.SIGQUIT):
        before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _text(totals: Summary, as_json: bool) -> str:
    if as_json:
        from netioctl.render import json

        return json.summary(totals)
    from netioctl.render import summary

    return summary.summary(totals, None, None)
