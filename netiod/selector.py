"""What a selector is: which processes it wants, and how people and the kernel side name it."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Any, NamedTuple

from netioctl.wire.errors import Code, RequestError
from netiod.policy import Caller
from netiod.processes import Process

#: Selectors that one user may have at once, and all users together.
SELECTORS_A_UID, SELECTORS = 64, 1024
#: Bytes of a name in the kernel (task_struct.comm), its NUL included.
_NAME = 16
#: Bytes of a cgroup's path: the kernel side has 256, and takes none that may have been cut off.
_PATH = 254
_LEVELS = "the level of a cgroup is 1 to {}, from the root's children down"
_NO_SELECTOR = "not a selector: PROTOCOL.md has their form"
_U64 = struct.Struct("<Q")
#: In the order of NETIO_SELECT_*.
KINDS = ("name", "user", "all", "cgroup")
#: NETIO_ANYONE
ANYONE = 0xFFFFFFFF


class Selector(NamedTuple):
    """Key of the map selectors: which processes are wanted, and whose they may be.

    `value` is bytes as there; `level` is that of a cgroup, 1 just below the root. One with a `path`
    means whatever cgroup is there, now or later; see cgroup_paths.py.
    """

    kind: str
    value: bytes
    owner: int
    level: int = 0
    path: bytes = b""

    def wants(self, facts: Facts, ids: Collection[int] = ()) -> bool:
        """Whether it wants a process, as the kernel side would say; `ids`: the cgroups that were
        at its path."""
        if self.owner != ANYONE and any(uid != self.owner for uid in facts.process.uids):
            return False
        if self.kind == "name":
            return self.value == facts.comm
        if self.kind == "user":
            return int(_U64.unpack_from(self.value)[0]) == facts.process.uids[1]
        if self.kind == "all":
            return True
        if self.path:
            return not facts.cgroups.isdisjoint(ids)
        return _U64.unpack_from(self.value)[0] in facts.cgroups


class Facts(NamedTuple):
    """What the kernel side tells of a process when it chooses it: struct meta_chosen."""

    process: Process
    comm: bytes
    since: int
    parent: int
    cgroups: frozenset[int]
    #: What had been counted of it by then; none: nothing, or nobody knows.
    before: dict[str, int] | None = None


def as_object(selector: Selector, ident: int | None = None) -> dict[str, Any]:
    """A selector as PROTOCOL.md has it; `ident`: the cgroup at its path."""
    value: Any = None
    if selector.path:
        path = selector.path.decode("utf-8", "surrogateescape")
        return {"kind": selector.kind, "value": ident, "level": selector.level, "path": path}
    if selector.kind == "name":
        value = selector.value.rstrip(b"\0").decode("utf-8", "replace")
    elif selector.kind != "all":
        value = _U64.unpack_from(selector.value)[0]
    return {"kind": selector.kind, "value": value, "level": selector.level or None}


def parse(caller: Caller, items: Any, levels: int) -> dict[Selector, int]:
    """The selectors of a request, each once: PROTOCOL.md has their form. Of one by path the id of
    the cgroup that is said to be there; 0: there is none.

    Raises:
        RequestError: one is not what the protocol allows, or not for `caller`.
    """
    if not isinstance(items, list) or len(items) > SELECTORS_A_UID:
        text = f"params.selectors must be a list of at most {SELECTORS_A_UID} selectors"
        raise RequestError(text, Code.INVALID_PARAMS)
    owner = ANYONE if caller.operator else caller.uid
    return dict(_parse(caller, item, owner, levels) for item in items)


def _parse(caller: Caller, item: Any, owner: int, levels: int) -> tuple[Selector, int]:
    if isinstance(item, dict) and item.get("kind") == "cgroup" and item.get("path") is not None:
        return _parse_path(item, owner, levels)
    return _parse_value(caller, item, owner, levels), 0


def _parse_path(item: dict[str, Any], owner: int, levels: int) -> tuple[Selector, int]:
    path, ident = item["path"], item.get("value")
    raw = _bytes(path) if isinstance(path, str) else b""
    top, *names = raw.split(b"/")
    if top or not names or {b"", b".", b".."} & {*names} or b"\0" in raw or len(raw) > _PATH:
        text = f"the path of a cgroup begins with /, has at most {_PATH} bytes, and no // or .."
        raise RequestError(text, Code.INVALID_PARAMS)
    number = 0 if ident is None else _integer(ident)
    if number is None or not 0 <= number < 1 << 64 or item.get("level") not in (None, len(names)):
        raise RequestError(_NO_SELECTOR, Code.INVALID_PARAMS)
    if len(names) > levels:
        raise RequestError(_LEVELS.format(levels), Code.INVALID_PARAMS)
    return Selector("cgroup", bytes(_NAME), owner, len(names), raw), number


def _parse_value(caller: Caller, item: Any, owner: int, levels: int) -> Selector:
    kind = item.get("kind") if isinstance(item, dict) else None
    value = item.get("value") if isinstance(item, dict) else None
    number = _integer(value)
    if kind == "name" and isinstance(value, str):
        raw = _bytes(value)
        if not raw or len(raw) >= _NAME or b"\0" in raw:
            text = f"a name has 1 to {_NAME - 1} bytes: the kernel keeps no more of it"
            raise RequestError(text, Code.INVALID_PARAMS)
        return Selector(kind, raw.ljust(_NAME, b"\0"), owner)
    if kind == "user" and number is not None and 0 <= number < ANYONE:
        if not caller.operator and number != caller.uid:
            text = "only root and members of the group may watch other users' processes"
            raise RequestError(text, Code.NO_SUCH_PROCESS)
        return Selector(kind, _U64.pack(number).ljust(_NAME, b"\0"), owner)
    if kind == "all" and value is None:
        if not caller.operator:
            text = "only root and members of the group may watch all processes"
            raise RequestError(text, Code.NO_SUCH_PROCESS)
        return Selector(kind, bytes(_NAME), owner)
    if kind == "cgroup" and number is not None and 0 < number < 1 << 64:
        level = _integer(item.get("level"))
        if level is None or not 0 < level <= levels:
            raise RequestError(_LEVELS.format(levels), Code.INVALID_PARAMS)
        return Selector(kind, _U64.pack(number).ljust(_NAME, b"\0"), owner, level)
    raise RequestError(_NO_SELECTOR, Code.INVALID_PARAMS)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b""


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def padded(comm: str) -> bytes:
    """A name as the kernel keeps it (task_struct.comm)."""
    return comm.encode("utf-8", "surrogateescape")[: _NAME - 1].ljust(_NAME, b"\0")
