"""`netioctl record`: what a watch would show, into a file."""

from __future__ import annotations

import math
import re
import select
import time
from typing import Any

import click

from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say
from netioctl.recording.format import RecordingError
from netioctl.recording.progress import Progress, recorded
from netioctl.recording.writer import Writer
from netioctl.session import Session
from netioctl.signals import Stop
from netioctl.stream import Events
from netioctl.targets import Targets, names
from netioctl.watching import Began, Gone, Waiting
from netioctl.wire.errors import NetioError

#: Seconds between two snapshots of the counters; more where they take long.
_COUNTERS_EVERY, _COUNTERS_SHARE = 10.0, 0.02
_LEAST_SIZE = 64 << 10


class _Size(click.ParamType):
    name = "size"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:i?B)?", value, re.ASCII | re.IGNORECASE)
        if match is None:
            self.fail(f"not a size: {value}; 500K, 100M, 2G are", parameter, context)
        size = int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")
        if size < _LEAST_SIZE:
            self.fail("a recording takes 64K at least", parameter, context)
        return size


@click.command(
    short_help="Keep events and totals in a file.", context_settings=options.PID_SETTINGS
)
@options.targets_
@click.option(
    "-o",
    "--output",
    "path",
    metavar="FILE",
    required=True,
    help="The file to write; it must not be there yet.",
)
@click.option("--force", is_flag=True, help="Replace FILE, and FILE.1 ... where --max-files asks.")
@click.option(
    "--max-size",
    type=_Size(),
    metavar="SIZE",
    help="End when FILE is so large (500K, 100M, 2G); with --max-files begin the next.",
)
@click.option(
    "--max-files",
    type=click.IntRange(2, 10_000),
    metavar="N",
    help="Keep the last N files of --max-size: FILE, which is the newest, FILE.1, FILE.2 ... "
    "--from FILE reads them all.",
)
@options.duration
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@options.run_dir
def command(
    targets: Targets,
    path: str,
    force: bool,
    max_size: int | None,
    max_files: int | None,
    duration: float,
    count: int | None,
) -> ExitStatus:
    """Keep every event of processes, with losses and exits, and their exact totals, in a
    compressed file, until Ctrl+C. `watch --from FILE`, `summary --from FILE` and
    `list --from FILE` show it as they would have shown it live, `report FILE` as a page.

    \b
    Examples:
      netioctl record -o web.netio $(pgrep nginx)
      netioctl record -o web.netio --duration 1h --max-size 1G 1234
      netioctl record -o ring.netio --max-size 100M --max-files 10 1234
      netioctl watch --from web.netio --since +10s --until +20s
      netioctl report web.netio -o web.html

    FILE is readable for you alone. Blocks are written about once a second: after a crash all
    but the last second can be read. It also ends when the last of the processes exits, and
    when the disk is full; what was written by then can be read.

    Exit status is 0 however it ends, Ctrl+C included, but 1 if one of the PIDs could not be
    watched or the disk is full, and 3 if the daemon went away.
    """
    if max_files is not None and max_size is None:
        raise click.UsageError("--max-files needs --max-size")
    if path in ("", "-"):
        raise click.UsageError("-o needs the name of a file")
    with options.connect() as client, Session(client, targets) as session:
        session.attach()
        failed = options.report(session.errors)
        if not session.expects:
            return ExitStatus.FAILURE
        writer = Writer(
            path,
            session.connection,
            max_size=max_size,
            max_files=max_files or 1,
            force=force,
        )
        try:
            session.open()
            writer.processes(session.watched)
            failed |= _Recorder(session, writer, duration, count).run()
        except NetioError:
            writer.abandon()
            raise
    return ExitStatus.FAILURE if failed else ExitStatus.OK


class _Recorder:
    """Takes what a session reads to a writer until something ends it."""

    def __init__(
        self, session: Session, writer: Writer, duration: float, count: int | None
    ) -> None:
        self._session, self._writer = session, writer
        self._end, self._count = time.monotonic() + duration, count
        self._progress = Progress(writer)
        self._counters_due = time.monotonic() + _COUNTERS_EVERY
        self._failed = False

    def run(self) -> bool:
        """Whether a process was taken from us."""
        began = time.monotonic()
        with Stop() as stop:
            self._session.register(stop.descriptor, select.POLLIN)
            what = self._session.named
            say(f"recording {what} to {self._writer.path}; Ctrl+C ends")
            try:
                ended_by = self._follow(stop)
                self._writer.close(self._session.summary())
            except RecordingError:
                self._progress.clear()
                raise
            except NetioError:
                # The daemon is gone: what was recorded stays, without the final totals.
                self._progress.clear()
                self._writer.close(None)
                say(recorded(self._writer, time.monotonic() - began, ""))
                raise
        self._progress.clear()
        say(recorded(self._writer, time.monotonic() - began, ended_by))
        return self._failed

    def _follow(self, stop: Stop) -> str:
        """Why it ended, if people do not know."""
        session, writer = self._session, self._writer
        while True:
            self._take(session.read())
            now = time.monotonic()
            if self._count == 0:
                return ""
            if session.ended:
                return ""
            if stop.asked or now >= self._end:
                # Events that are under way happened while we recorded.
                for items in session.finish():
                    self._take(items)
                return ""
            if writer.full and not self._next_file():
                return f"--max-size is reached: {writer.path} is complete"
            if now >= self._counters_due:
                self._snapshot()
            self._progress.tell(now)
            due = min(self._end, self._counters_due, writer.due, self._progress.due)
            session.wait(None if math.isinf(due) else max(0.0, due - time.monotonic()))
            writer.tick()

    def _take(self, items: list[Any]) -> None:
        items = [self._cut(item) for item in items] if self._count is not None else items
        items = [item for item in items if item is not None]
        self._writer.add(items, self._session.generation)
        for item in items:
            if isinstance(item, (Began, Gone, Waiting)):
                self._tell(item)

    def _cut(self, item: Any) -> Any:
        """Events as far as --count leaves room for them."""
        if not isinstance(item, Events):
            return item
        assert self._count is not None
        number = min(item.number, self._count)
        self._count -= number
        size = len(item.data) // item.number
        return item._replace(number=number, data=item.data[: number * size]) if number else None

    def _tell(self, item: Began | Gone | Waiting) -> None:
        self._progress.clear()
        if isinstance(item, Waiting):
            say("netiod has ended the connection: waiting for the next")
        elif isinstance(item, Gone):
            who = names((item.process,))
            if item.reason is None:
                say(f"{who} exited")
            else:
                self._failed = True
                say(f"netioctl: {who} is watched no longer: {item.reason}")

    def _snapshot(self) -> None:
        began = time.monotonic()
        counted = self._session.counters()
        if counted is not None:
            self._writer.counters(counted)
        now = time.monotonic()
        self._counters_due = now + max(_COUNTERS_EVERY, (now - began) / _COUNTERS_SHARE)

    def _next_file(self) -> bool:
        """Whether recording goes on; while the daemon is away nothing comes anyway."""
        counted = self._session.counters()
        if counted is None:
            return True
        return self._writer.rotate(counted, tuple(self._session.living.values()))
