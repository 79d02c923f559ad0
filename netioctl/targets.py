"""What people want to be watched: PIDs and selectors; and why a PID cannot be had."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import NamedTuple

from netioctl.answers import Failure, Process
from netioctl.wire.control import MAX_PID
from netioctl.wire.errors import Code, UsageError

#: Processes that are named in one line.
_NAMED = 5
#: What is said where nothing is named.
NONE_GIVEN = "no PID given; $(pgrep NAME) gives those of a program, --name NAME also later ones"


class Selector(NamedTuple):
    """Which processes are wanted, now and later.

    `kind` is `name` (value: task_struct.comm), `user` (effective uid), `cgroup` (id of a cgroup,
    whose descendants belong to it; `level` is 1 just below the root) or `all` (no value). With the
    `path` of a cgroup, from the root, whatever is made there later is meant too, and `value` may be
    None. `label` is how it was given: `--name nginx`.
    """

    kind: str
    value: str | int | None
    label: str
    level: int | None = None
    path: str | None = None

    @property
    def object(self) -> dict[str, str | int | None]:
        """As the protocol has it."""
        found: dict[str, str | int | None] = {"kind": self.kind, "value": self.value}
        if self.level is not None:
            found["level"] = self.level
        return found if self.path is None else {**found, "path": self.path}


class Targets(NamedTuple):
    """What is to be watched. `follow`: also the children of all these, from their first byte."""

    pids: tuple[int, ...] = ()
    selectors: tuple[Selector, ...] = ()
    follow: bool = False

    @property
    def grows(self) -> bool:
        """Whether processes may come that are not there yet."""
        return bool(self.selectors) or self.follow


def children(pids: Iterable[int]) -> list[int]:
    """The descendants of `pids` that there are, as far as /proc shows them."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = int(file.read().rsplit(b")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry))
    given = set(pids)
    found, todo = [], list(given)
    while todo:
        below = [pid for pid in parents.pop(todo.pop(), []) if pid not in given]
        found += below
        todo += below
    return found


def parse(arguments: Iterable[str]) -> tuple[int, ...]:
    """PIDs in the order given, each once; an argument may hold several, as "$(pgrep nginx)" does.

    Raises:
        UsageError: one is not a PID, or there is none.
    """
    pids: dict[int, None] = {}
    for argument in arguments:
        for word in argument.split():
            pids[_pid(word)] = None
    if not pids:
        raise UsageError(NONE_GIVEN)
    return tuple(pids)


def _pid(word: str) -> int:
    shown = word if len(word) <= 24 else word[:20] + "…"
    if word.startswith("-") and not word[1:].isdecimal():
        raise UsageError(f"no such option: {shown}")
    if not word.lstrip("-").isdecimal() or not word.isascii():
        raise UsageError(f"not a PID: {shown}; a PID is a number, $(pgrep NAME) finds it")
    # Digits beyond that length need not be looked at, nor would int() take any number of them.
    number = int(word) if len(word) <= 20 else MAX_PID + 1
    if not 0 < number <= MAX_PID:
        raise UsageError(f"not a PID: {shown}; PIDs are 1 to {MAX_PID}")
    return number


def explain(failure: Failure) -> str:
    """One line that says what is wrong with a PID.

    The daemon does not say whether a PID that the caller may not watch exists; this adds what
    the caller can see in /proc anyway.
    """
    if failure.code == Code.NO_SUCH_PROCESS:
        return _why_none(failure)
    text = failure.message
    return text if str(failure.pid) in text else f"{failure.pid}: {text}"


def _why_none(failure: Failure) -> str:
    pid = failure.pid
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="backslashreplace") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        leader = int(fields["Tgid"])
        dead = fields["State"][:1] in "ZX"
        uids = {int(uid) for uid in fields["Uid"].split()}
    except (OSError, KeyError, ValueError):
        return f"no such process: {pid}"
    if dead:
        return f"no such process: {pid} (it has exited)"
    if leader != pid:
        return f"{pid} is a thread of process {leader}: watch {leader}"
    strangers = uids - {os.geteuid()}
    if not strangers or os.geteuid() == 0:
        return failure.message
    name = user(min(strangers))
    may = "only root" if name == "root" else f"only {name}, root"
    return f"process {pid} belongs to {name}: {may} and members of group netio may watch it"


def user(uid: int) -> str:
    """The name of a user, or the number where there is none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def names(processes: tuple[Process, ...]) -> str:
    """`1234 (curl), 1235 (nginx)`; of many processes the first and how many more."""
    named = ", ".join(f"{process.pid} ({process.comm})" for process in processes[:_NAMED])
    more = len(processes) - _NAMED
    return f"{named} and {more} more" if more > 0 else named
