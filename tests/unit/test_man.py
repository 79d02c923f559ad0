"""Manual pages: from the same source as --help, and without a warning of those who read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netioctl.commands import COMMANDS
from netioctl.exit_status import MEANINGS, ExitStatus
from tools import man
from tools.roff import Page

TOP = Path(__file__).parents[2]
PAGES = dict(man.pages())


def rendered(path: Path) -> str:
    environment = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return re.sub(r".\x08", "", done.stdout)


def examples(text: str) -> list[str]:
    found = re.search(r"(?m)^ *(?:Examples:|examples:|EXAMPLES)\n((?:(?: {4,}| {2}\S).*\n)+)", text)
    assert found is not None, text
    return [line.strip() for line in found[1].splitlines()]


def test_there_is_a_page_for_each_command() -> None:
    verbs = {f"netioctl-{verb}.1" for verb in COMMANDS}
    assert PAGES.keys() == {"netiod.8", "netioctl.1", *verbs}
    assert set(MEANINGS) == set(ExitStatus)


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_what_help_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(PAGES[name], encoding="utf-8")
    page = rendered(path)
    program, _, verb = name.rpartition(".")[0].partition("-")
    command = [sys.executable, "-m", program, *([verb] if verb else []), "--help"]
    help_ = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert examples(page) == examples(help_)
    listed = re.split(r"[Oo]ptions:\n", help_)[1]
    options = set(re.findall(r"(?m)^ {2,8}(?:-\w, )?(--[a-z][a-z-]*)", listed))
    listed = page.split("\nOPTIONS\n")[1]
    assert options == set(re.findall(r"(?m)^ {7}(?:-\w, )?(--[a-z][a-z-]*)", listed))
    for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"):
        assert page.count(f"\n{title}\n") == 1, page
    assert page.index("\nEXAMPLES\n") < page.index("\nOPTIONS\n")
    if shutil.which("mandoc"):
        lint = ["mandoc", "-T", "lint", "-W", "warning", str(path)]
        said = subprocess.run(lint, capture_output=True, text=True, check=False)
        assert said.stdout == ""


def test_what_roff_would_take_for_its_own(tmp_path: Path) -> None:
    page = Page("x", 1, "2000-01-01", "netio")
    page.section("Name")
    page.raw("x \\- y")
    page.section("Text")
    page.paragraph(".B it's `--a-b` \\fB ^~")
    page.verbatim([".x 'y' \\n", ""])
    path = tmp_path / "x.1"
    path.write_text(page.text())
    text = rendered(path)
    assert ".B it's --a-b \\fB ^~" in text
    assert ".x 'y' \\n" in text
