"""From what people name (a program, a user, a unit) to the selectors that netiod understands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from netioctl import cgroups
from netioctl.targets import Selector
from netioctl.wire.errors import NotChosen, UsageError

#: Bytes that the kernel keeps of a program's name (task_struct.comm without its NUL).
NAME = 15
#: Seconds between two looks for what is waited for.
_EVERY = 0.2


class Named(NamedTuple):
    """What the command line names, as it stands there."""

    names: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    cgroups: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    all: bool = False

    def __bool__(self) -> bool:
        return self != Named()


def selectors(
    named: Named,
    *,
    must_match: bool = True,
    wait: Callable[[str], None] | None = None,
    known: Collection[str] | None = None,
) -> tuple[Selector, ...]:
    """The selectors for what is named.

    With `must_match` a process must be there for each. With `wait` what is not there yet is waited
    for; it is called with what to say about that. With `known`, the paths that selectors have gone
    by so far, the cgroups need not be there any more.

    Raises:
        NotChosen: there is no such user, cgroup, unit or container, or no process that matches.
        UsageError: what is named cannot be.
    """
    found: list[Selector] = []
    for name in named.names:
        found.append(_name(name))
        _check(found[-1], partial(_runs, name), must_match, wait)
    for user in named.users:
        uid = _uid(user)
        found.append(Selector("user", uid, f"--user {user}"))
        _check(found[-1], partial(_has_processes, uid), must_match, wait)
    for option, values, look in (
        ("--cgroup", named.cgroups, partial(_by_path, there=wait is None and known is None)),
        ("--unit", named.units, partial(cgroups.by_unit, known=known or ())),
        ("--container", named.containers, partial(cgroups.by_container, known=known or ())),
    ):
        for value in values:
            there = _find(partial(look, value), option, value, wait)
            label = f"{option} {value}"
            found += [
                Selector("cgroup", each.id or None, label, each.level, each.kernel_path)
                for each in there
            ]
            if any(each.id for each in there):
                _check(found[-1], partial(_any_populated, there), must_match, wait)
    if named.all:
        found.append(Selector("all", None, "--all"))
    return tuple(found)


def matcher(named: Named) -> Callable[[int, str, int], bool]:
    """Tells of a process (PID, name, uid) whether it is one of those that are named.

    Raises:
        NotChosen: as selectors().
    """
    names = {_cut(name) for name in named.names}
    users = {_uid(user) for user in named.users}
    within = named._replace(names=(), users=(), all=False)
    ids = {selector.value for selector in selectors(within, must_match=False)}

    def matches(pid: int, comm: str, uid: int) -> bool:
        if named.all or comm in names or uid in users:
            return True
        path = cgroups.of_process(pid) if ids else None
        if path is None:
            return False
        parts = path.rstrip("/").split("/")
        above = ("/".join(parts[: n + 1]) for n in range(1, len(parts)))
        found = (cgroups.by_path(each) for each in above)
        return any(cgroup is not None and cgroup.id in ids for cgroup in found)

    return matches


def _name(name: str) -> Selector:
    if not name or "\0" in name:
        raise UsageError("--name needs the name of a program")
    return Selector("name", _cut(name), f"--name {name}")


def _cut(name: str) -> str:
    """As much of a name as the kernel keeps."""
    return os.fsencode(name)[:NAME].decode("utf-8", "surrogateescape")


def _uid(user: str) -> int:
    import pwd

    if user.isdecimal() and user.isascii():
        number = int(user[:11])
        if number < 0xFFFFFFFF:
            return number
        raise UsageError(f"not a uid: {user[:20]}")
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        raise NotChosen(f"no such user: {user}") from None


def _by_path(path: str, *, there: bool) -> list[cgroups.Cgroup]:
    found = cgroups.by_path(path, there=there)
    return [] if found is None else [found]


def _any_populated(found: list[cgroups.Cgroup]) -> bool:
    return any(map(cgroups.populated, found))


def _find(
    look: Callable[[], list[cgroups.Cgroup]],
    option: str,
    value: str,
    wait: Callable[[str], None] | None,
) -> list[cgroups.Cgroup]:
    kind = {"--cgroup": "cgroup", "--unit": "unit with processes", "--container": "container"}
    what = f"no such {kind[option]}: {value}"
    found = look()
    if found:
        if wait is not None and not any(each.id for each in found):
            # The kernel looks out for it.
            wait(f"{what}; waiting for it")
        return found
    if wait is None:
        raise NotChosen(f"{what}; --wait waits for it")
    wait(f"{what}; waiting for it, Ctrl+C ends")
    while not found:
        time.sleep(_EVERY)
        found = look()
    return found


def _check(
    chosen: Selector,
    there: Callable[[], bool],
    must_match: bool,
    wait: Callable[[str], None] | None,
) -> None:
    if not must_match or there():
        return
    text = f"no process matches {chosen.label} now"
    if wait is None:
        raise NotChosen(f"{text}; --wait waits for one")
    wait(f"{text}; waiting for one")


def _processes() -> Iterator[str]:
    return (f"/proc/{entry}" for entry in os.listdir("/proc") if entry.isdecimal())


def _runs(name: str) -> bool:
    wanted = os.fsencode(name)[:NAME]
    for process in _processes():
        try:
            with open(f"{process}/comm", "rb") as file:
                if file.read().rstrip(b"\n") == wanted:
                    return True
        except OSError:
            continue
    return False


def _has_processes(uid: int) -> bool:
    for process in _processes():
        try:
            if os.stat(process).st_uid == uid:
                return True
        except OSError:
            continue
    return False
