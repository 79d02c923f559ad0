"""`python3 -m tools.man DIR`: the manual pages, from the same objects that print --help.

netioctl.1, a page for each of its verbs, and netiod.8. click-man is not used: it drops the
form of examples, and netiod's options are argparse's.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from netioctl import __version__
from netioctl.commands import COMMANDS, SECTIONS
from netioctl.exit_status import MEANINGS
from netioctl.main import cli
from netiod.main import parser
from tools.roff import Page, escape


def main(arguments: list[str]) -> int:
    """Write all pages into a directory; print their names."""
    (directory,) = map(Path, arguments)
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (directory / name).write_text(text, encoding="utf-8")
        print(name)
    return 0


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page."""
    with click.Context(cli, info_name="netioctl", **cli.context_settings) as context:
        yield "netioctl.1", _client(context)
        for verb in COMMANDS:
            command = cli.get_command(context, verb)
            assert command is not None
            with click.Context(command, context, info_name=verb) as inner:
                yield f"netioctl-{verb}.1", _verb(inner, command)
    yield "netiod.8", _daemon(parser())


def _page(name: str, section: int, what: str) -> Page:
    # Who builds packages says which day it is, so that the same source makes the same files.
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    page = Page(name, section, time.strftime("%Y-%m-%d", moment), f"netio {__version__}")
    page.section("Name")
    what = what.rstrip(".").replace("`", "")
    page.raw(f"{escape(name)} \\- {escape(what[:1].lower() + what[1:])}")
    return page


def _client(context: click.Context) -> str:
    page = _page("netioctl", 1, "watch what processes send and receive")
    _synopsis(page, context, cli)
    _prose(page, cli.help or "", "Description")
    page.section("Commands")
    for title, verbs in SECTIONS:
        page.raw(f".SS {title}")
        for verb in verbs:
            command = cli.get_command(context, verb)
            assert command is not None
            page.item(f"netioctl-{verb}(1)", command.get_short_help_str(200))
    _options(page, context, cli)
    _end(page, ["netioctl-watch(1)", "netiod(8)"])
    return page.text()


def _verb(context: click.Context, command: click.Command) -> str:
    page = _page(f"netioctl-{context.info_name}", 1, command.get_short_help_str(200))
    _synopsis(page, context, command)
    _prose(page, command.help or "", "Description")
    _options(page, context, command)
    if command.epilog:
        _prose(page, command.epilog, "Notes")
    _end(page, ["netioctl(1)", "netiod(8)"])
    return page.text()


def _synopsis(page: Page, context: click.Context, command: click.Command) -> None:
    page.section("Synopsis")
    pieces = escape(" ".join(command.collect_usage_pieces(context)))
    page.raw(f".B {context.command_path}")
    page.raw(pieces)


def _prose(page: Page, text: str, title: str) -> None:
    """Paragraphs as click's docstrings have them; a \\b keeps the lines of one."""
    page.section(title)
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines = paragraph.split("\n")
        if lines[0] != "\b":
            page.paragraph(paragraph)
        elif lines[1] == "Examples:":
            page.section("Examples")
            page.verbatim(line[2:] for line in lines[2:])
            if title == "Description" and not text.rstrip().endswith(paragraph.rstrip()):
                page.section("Notes")
        else:
            page.verbatim(lines[1:])


def _options(page: Page, context: click.Context, command: click.Command) -> None:
    page.section("Options")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            page.item(*record)


def _end(page: Page, also: list[str]) -> None:
    page.section("Exit status")
    for status, meaning in MEANINGS.items():
        page.item(str(int(status)), _sentence(meaning))
    page.section("Environment")
    page.item("NETIO_RUN_DIR", "Run directory of the daemon, where --run-dir names no other.")
    page.section("See also")
    page.paragraph(", ".join(also))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _daemon(netiod: argparse.ArgumentParser) -> str:
    page = _page("netiod", 8, "count in the kernel what processes send and receive")
    page.section("Synopsis")
    page.raw(".B netiod")
    page.raw("[OPTIONS]")
    description, _, examples = (netiod.description or "").partition("\n\nexamples:\n")
    page.section("Description")
    page.paragraph(description)
    page.section("Examples")
    page.verbatim(line[2:] for line in examples.splitlines())
    page.section("Options")
    for action in netiod._actions:
        term = ", ".join(action.option_strings) + (f" {action.metavar}" if action.metavar else "")
        page.item(term, _sentence(action.help or ""))
    page.section("Configuration")
    for part in (netiod.epilog or "").strip().split("\n\n"):
        title, colon, rows = part.partition(":\n")
        if not colon:
            page.paragraph(part)
            continue
        page.section(title)
        for row in rows.splitlines():
            term, text = re.split(r"\s{2,}", row.strip(), maxsplit=1)
            page.item(term, _sentence(text))
    page.section("See also")
    page.paragraph("netioctl(1), netioctl-doctor(1)")
    return page.text()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
