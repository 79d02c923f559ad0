"""`netioctl report`: a recording as one page, or as tables for programs."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator

import click

from netioctl import targets
from netioctl.exit_status import ExitStatus
from netioctl.output import Output
from netioctl.recording.format import RecordingError
from netioctl.recording.options import Source, problems
from netioctl.recording.progress import Line
from netioctl.recording.replay import Replay
from netioctl.render.words import events
from netioctl.report.tables import TABLES

_FORMATS = ("html", "md", "csv", "json", "parquet")


@click.command(short_help="Draw a recording as a page, or write it as tables.")
@click.argument("file", metavar="FILE")
@click.argument("pids", nargs=-1, metavar="[PID...]")
@click.option("-o", "--output", "path", metavar="FILE", help="Where to write; - is stdout.")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="By default what the name of the output ends with, else html.",
)
@click.option(
    "--table",
    type=click.Choice(tuple(TABLES)),
    help="For csv and parquet: which table; connections.",
)
@click.option("--since", metavar="MOMENT", help="Nothing before it; as of `watch`.")
@click.option("--until", metavar="MOMENT", help="Nothing after it.")
def command(
    file: str,
    pids: tuple[str, ...],
    path: str | None,
    form: str | None,
    table: str | None,
    since: str | None,
    until: str | None,
) -> ExitStatus:
    """Make one page of a recording (netioctl record): throughput over time, by process and by
    connection, sizes, the biggest peers, losses, and a table that can be sorted. It needs no
    network and no other file, fits a phone, and is dark where its reader's system is.

    \b
    Examples:
      netioctl report web.netio -o web.html
      netioctl report web.netio -o web.html --since +10s --until +20s 1234
      netioctl report web.netio --format md
      netioctl report web.netio -o web.csv
      netioctl report web.netio --format csv --table events | head
      netioctl report web.netio --format json | jq .total

    Totals are the kernel's, exact even where events were lost; with --since, --until and
    where the end of a recording is missing, they are the sum of its events, and the report
    says so. Pictures are drawn from events. html needs matplotlib, parquet pyarrow.

    Exit status is 1 if a part of the recording could not be read.
    """
    form = form or _by_name(path)
    if table is not None and form not in ("csv", "parquet"):
        raise click.UsageError("--table is for --format csv and parquet")
    to_stdout = path is None or path == "-"
    if to_stdout and (form == "parquet" or (form == "html" and sys.stdout.isatty())):
        raise click.UsageError(f"where to? -o report.{form}")
    _check(form)
    from netioctl.report import formats, gather

    wanted = targets.parse(pids) if pids else ()
    source = Source((file,), since, until)
    with source.reader() as reader:
        begin, end = source.moments(reader)
        with Line() as line:
            total = sum(block.events for block in reader.blocks if block.kind == 1)
            report = gather.gather(
                reader,
                wanted,
                begin,
                end,
                lambda n: line.show(f"{n:,} of {events(total)} read"),
            )
        if form in ("html", "md", "json"):
            from netioctl.report import page

            make = {
                "html": page.page, "md": formats.as_markdown, "json": formats.as_json,
            }[form]  # fmt: skip
            _put(path, [make(report)])
        else:
            replay = Replay(reader, wanted, since=begin, until=end)
            found = formats.rows(table or "connections", report, replay)
            if form == "parquet":
                assert path is not None
                with _replacing(path) as temporary:
                    formats.write_parquet(temporary, table or "connections", found)
            else:
                _put(path, formats.csv_pieces(table or "connections", found))
        failed = problems(reader.problems)
        missing = [pid for pid in wanted if pid not in {p.pid for p in report.processes}]
        failed |= problems([f"process {pid} is not in {file}" for pid in missing])
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _by_name(path: str | None) -> str:
    ending = "" if path is None else path.rpartition(".")[2].lower()
    return {"htm": "html"}.get(ending, ending if ending in _FORMATS else "html")


def _check(form: str) -> None:
    """Before a long recording is read for nothing."""
    if form == "html":
        from netioctl.report.charts import check

        check()
    elif form == "parquet":
        from netioctl.report.formats import check_parquet

        check_parquet()


def _put(path: str | None, pieces: Iterable[str]) -> None:
    if path is None or path == "-":
        output = Output()
        for text in pieces:
            output.write(text)
        return
    with _replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        out.writelines(pieces)


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[str]:
    """The name of a new file, which becomes `path` when it is whole."""
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".netio-")
        os.fchmod(descriptor, 0o666 & ~_umask())
        os.close(descriptor)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise RecordingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
