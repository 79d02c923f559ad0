"""README.md stays true: commands, options, files and back-ends that it names exist, and back."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netiod import backends, settings

TOP = Path(__file__).resolve().parents[2]
README = (TOP / "README.md").read_text()
#: Spans in backticks, and lines of code blocks: what a reader types, or sees.
CODE = re.findall(r"`([^`\n]+)`", README) + re.findall(r"^ {4,}(.*)", README, re.M)


@functools.cache
def help_of(*command: str) -> str:
    done = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, cwd=TOP, timeout=30, check=True
    )
    return done.stdout


def netiod_help() -> str:
    return help_of(sys.executable, "-m", "netiod")


def netioctl_help(*verb: str) -> str:
    return help_of(sys.executable, "-m", "netioctl", *verb)


def options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def verbs() -> set[str]:
    listed = netioctl_help().partition("Options:\n")[2]
    return set(re.findall(r"^  ([a-z]+)  ", listed, re.M))


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, title
    return found[1]


def calls(name: str) -> list[str]:
    """What follows `name` where it is called, up to the end of that command."""
    pattern = rf"(?:^|[\s/;&(]){name}((?: [^|;&#<>]*)?)"
    lines = (line for line in CODE if not line.startswith("from "))  # Python
    return [call for line in lines for call in re.findall(pattern, line)]


def test_every_verb_of_netioctl_is_there_and_no_other() -> None:
    named = {found[1] for call in calls("netioctl") if (found := re.match(r" ([a-z]+)\b", call))}
    assert named == verbs()


def test_options_of_netioctl_exist() -> None:
    for call in calls("netioctl"):
        words = re.match(r"(?: --run-dir \S+)? ([a-z]+)\b", call)
        known = options(netioctl_help(words[1]) if words else netioctl_help())
        assert options(call) <= known | {"--help"}, call


def test_every_option_of_netiod_is_there_and_no_other() -> None:
    known = options(netiod_help())
    table = section("Options").partition("### netiod\n")[2].partition("###")[0]
    assert options(table) == known
    for call in calls("netiod"):
        assert options(call) <= known, call


def test_every_key_of_the_file_is_there_and_no_other() -> None:
    table = section("Options").partition("### netiod\n")[2].partition("###")[0]
    rows = re.findall(r"^\| `-[^|]*\|([^|]*)\|", table, re.M)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(settings.KEYS)


def test_defaults_of_netiod() -> None:
    table = section("Options")
    default = settings.Settings()
    for shown in (
        f"`{default.run_dir}`",
        f"`{default.group}`",
        f"`{default.user}`",
        f"`{default.ring_size >> 20}M`",
        f": {default.max_connections} ",
        f": {default.max_pids} ",
        settings.DEFAULT_CONFIG,
    ):
        assert shown in table


@pytest.mark.parametrize(
    "verb", ["run", "test", "bench", "accuracy", "kernels", "soak", "install", "uninstall"]
)
def test_commands_of_the_script(verb: str) -> None:
    assert f"sudo ./netio {verb}" in README
    assert re.search(rf"^  {verb}\b", help_of(str(TOP / "netio")), re.M)


def test_the_command_of_the_script_that_needs_no_root() -> None:
    assert "`./netio deb`" in README
    assert re.search(r"^  deb\b", help_of(str(TOP / "netio")), re.M)


def test_no_other_command_of_the_script() -> None:
    listed = set(re.findall(r"^  ([a-z]+) ", help_of(str(TOP / "netio")), re.M))
    assert {found for line in CODE for found in re.findall(r"\./netio ([a-z]+)", line)} <= listed


@pytest.mark.parametrize("backend", backends.BACKENDS, ids=lambda backend: backend.name)
def test_limits_name_each_back_end_and_what_it_cannot_see(backend: backends.Backend) -> None:
    rows = [row for row in section("Limits").splitlines() if f"| `{backend.name}` |" in row]
    assert len(rows) == 1
    for blind in backend.every_blind():
        assert blind in rows[0]


@pytest.mark.parametrize(
    ("command", "column"), [(netiod_help, 1), (netioctl_help, 2)], ids=["netiod", "netioctl"]
)
def test_exit_statuses(command: Callable[[], str], column: int) -> None:
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|([^|]*)\|$", section("Options"), re.M)
    named = {row[0] for row in rows if row[column].strip()}
    text = re.split(r"[Ee]xit status:", command())[1]
    assert named == set(re.findall(r"(?:^|;)\s*(\d{1,3})\s+(?=\w)", text, re.M))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links(target: str) -> None:
    file, _, anchor = target.partition("#")
    assert not file or (TOP / file).exists()
    titles = re.findall(r"^#+ (.*)", README, re.M)
    assert not anchor or anchor in {title.lower().replace(" ", "-") for title in titles}


def test_objects_are_json() -> None:
    objects = [line for line in CODE if line.startswith("{")]
    assert objects
    for line in objects:
        json.loads(line)
