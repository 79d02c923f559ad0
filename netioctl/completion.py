"""Values that a shell can complete: each function here fits `shell_complete` of click.

    @click.option("--user", shell_complete=completion.users)

They read /proc and ask nobody: a TAB has no time to wait for a daemon.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from netioctl.render.words import printable

_OPERATORS = "netio"
_TIMEOUT = 2.0


class _Process(NamedTuple):
    pid: int
    comm: str
    uids: frozenset[int]


def pids(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """PIDs that the caller may watch, with names."""
    found = ((str(each.pid), printable(each.comm)) for each in _processes() if _may_watch(each))
    return _starting(found, incomplete)


def names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of processes that the caller may watch, with how many there are."""
    counts: dict[str, int] = {}
    for each in filter(_may_watch, _processes()):
        if each.comm.isprintable():
            counts[each.comm] = counts.get(each.comm, 0) + 1
    return _starting(
        ((name, f"{count} process" + "es" * (count > 1)) for name, count in sorted(counts.items())),
        incomplete,
    )


def users(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Users who run something that the caller may watch."""
    uids = {uid for each in _processes() if _may_watch(each) for uid in each.uids}
    return _starting(sorted((name, "") for name in map(_name, uids) if name), incomplete)


def units(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """systemd's services that run, with what they are."""
    import subprocess

    command = ["systemctl", "list-units", "--type=service,scope", "--state=running", "--plain"]
    try:
        done = subprocess.run(
            [*command, "--no-legend", "--no-pager"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    # unit, three states, description
    rows = (line.split(None, 4) for line in done.stdout.splitlines())
    return _starting(((row[0], row[4]) for row in rows if len(row) == 5), incomplete)


def _starting(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=text or None)
        for value, text in found
        if value.startswith(incomplete)
    ]


def _processes() -> Iterator[_Process]:
    """All that /proc shows, without threads of the kernel and what a shell started to ask."""
    own = {os.getpid(), os.getppid()} - {os.getsid(0)}
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
        if pid in own:
            continue
        with contextlib.suppress(OSError, KeyError, ValueError):
            path = f"/proc/{pid}/status"
            with open(path, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            # Neither threads of the kernel nor the dead have memory.
            if "VmSize" in fields:
                yield _Process(pid, fields["Name"], frozenset(map(int, fields["Uid"].split()[:3])))


def _may_watch(process: _Process) -> bool:
    """As netiod decides it, where the operators' group has its usual name."""
    return process.uids == {os.geteuid()} or _operator()


def _operator() -> bool:
    if os.geteuid() == 0:
        return True
    import grp

    with contextlib.suppress(KeyError):
        return grp.getgrnam(_OPERATORS).gr_gid in (os.getegid(), *os.getgroups())
    return False


def _name(uid: int) -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return ""
