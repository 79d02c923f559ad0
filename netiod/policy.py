"""Who may hold which process. Pure functions; what is not allowed by a rule is denied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netiod.processes import Process


@dataclass(frozen=True)
class Caller:
    """Who is at the other end of a control connection, as the kernel says (SO_PEERCRED)."""

    pid: int
    uid: int
    operator: bool


def is_operator(uid: int, gids: frozenset[int], operators: int | None) -> bool:
    """uid 0 and members of the operators' group; `operators` is None where there is no group."""
    return uid == 0 or (operators is not None and operators in gids)


def operator_rule(caller: Caller, _process: Process) -> bool:
    """Operators may hold any process."""
    return caller.operator


def owner_rule(caller: Caller, process: Process) -> bool:
    """Others: processes whose real, effective, saved and file-system uid are all their own.

    A set-uid program that someone started is thereby not theirs.
    """
    return owned(caller, process.uids)


def owned(caller: Caller, uids: tuple[int, ...]) -> bool:
    """Whether all of `uids` are the caller's."""
    return all(uid == caller.uid for uid in uids)


#: Any of these suffices.
RULES: tuple[Callable[[Caller, Process], bool], ...] = (operator_rule, owner_rule)


def may_hold(caller: Caller, process: Process) -> bool:
    """True if some rule allows `caller` to see what `process` sends and receives."""
    return any(rule(caller, process) for rule in RULES)
