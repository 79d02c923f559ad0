"""Selectors in the kernel's maps: under which keys, and how those by a cgroup's path outlive it.

Such a selector has a key of its own, which chooses nothing, and one for the id of the cgroup that
is there. When a cgroup is made under that path, the kernel side (bpf/cgroups.c) puts the new id in
the place of the one before, and tells of it.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from netioctl.wire.errors import LimitReached
from netiod.kernel import Kernel
from netiod.selector import ANYONE, KINDS, SELECTORS, Selector

_U64 = struct.Struct("<Q")
_NO_VALUE = bytes(16)
#: Ids of one selector that are in the map, and that are remembered after they were: of what has
#: been chosen, and whose viewers are still to come back.
_LIVE, _REMEMBERED = 2, 64
#: Numbers whose entry is kept for a while after all have left: the kernel side may be at it.
_LEAVING = 256


class _Path(NamedTuple):
    number: int
    owners: dict[int, Selector]


class CgroupPaths:
    """Which keys of the map selectors belong to each selector."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        constants = kernel.layout.constants
        self._kinds = {kind: constants[f"NETIO_SELECT_{kind.upper()}"] for kind in KINDS}
        self._path_kind = constants["NETIO_SELECT_PATH"]
        self._most_owners = constants["NETIO_PATH_OWNERS"]
        self._paths: dict[bytes, _Path] = {}
        self._by_number: dict[int, _Path] = {}
        #: What the kernel's map has, as far as we wrote it.
        self._written: dict[bytes, bytes] = {}
        self._live: dict[Selector, list[int]] = {}
        self._before: dict[Selector, deque[int]] = {}
        self._leaving: deque[int] = deque()
        self._last = 0

    def recover(self) -> Iterator[tuple[Selector, dict[str, Any]]]:
        """The selectors that an earlier broker left, and what the kernel's map has of each."""
        kernel = self._kernel
        kinds = {number: kind for kind, number in self._kinds.items()}
        places = {}
        for key, value in list(kernel.cgroup_paths.items()):
            path = kernel.cgroup_path.unpack(key)["path"].rstrip(b"\0")
            places[kernel.path_owners.unpack(value)["number"]] = path
            self._written[path] = value
        found, aliases = [], []
        for key, value in list(kernel.selectors.items()):
            fields, had = kernel.selector_key.unpack(key), kernel.selector.unpack(value)
            number = _U64.unpack_from(fields["value"])[0]
            owner, level = fields["owner"], had["level"]
            if fields["kind"] != self._path_kind and not had["path"]:
                selector = Selector(kinds[fields["kind"]], fields["value"], owner, level)
                found.append((selector, had))
                continue
            path = places.get(had["path"])
            if path is None:
                kernel.selectors.delete(key)
                continue
            selector = Selector("cgroup", _NO_VALUE, owner, level, path)
            if fields["kind"] == self._path_kind:
                self._take(selector, number)
                found.append((selector, had))
            else:
                aliases.append((key, selector, number))
        for key, selector, number in aliases:
            if selector in self._live:
                self._live[selector].append(number)
            else:
                kernel.selectors.delete(key)
        for key, _ in list(kernel.cgroup_ids.items()):
            if _U64.unpack(key)[0] not in self._by_number:
                kernel.cgroup_ids.delete(key)
        for path in self._written.keys() - self._paths.keys():
            self._forget(path)
        self.write()
        return iter(found)

    def check(self, selectors: Iterable[Selector]) -> None:
        """Whether all these can be had.

        Raises:
            LimitReached: no.
        """
        new = {selector.path for selector in selectors if selector.path} - self._paths.keys()
        if len(self._paths) + len(new) > 2 * SELECTORS - _LEAVING:
            raise LimitReached("netiod takes no more paths of cgroups now")
        for selector in selectors:
            known = self._paths.get(selector.path)
            if known is None or selector.owner in known.owners:
                continue
            # One place is the operators'.
            others = sum(owner != ANYONE for owner in known.owners)
            if selector.owner != ANYONE and others >= self._most_owners - 1:
                raise LimitReached(
                    f"{others} users have selectors by that path of a cgroup, and no more can"
                )

    def want(self, selector: Selector, ident: int) -> list[bytes]:
        """A selector that is asked for; `ident` is said to be the cgroup at its path now, 0: there
        is none. Keys that go for it."""
        if not selector.path:
            return []
        if selector not in self._live:
            self._last = max(self._last + 1, time.monotonic_ns())
            self._take(selector, self._last)
        live = self._live[selector]
        if not ident or ident in live:
            return []
        live.append(ident)
        return self._retire(selector, live[:-_LIVE])

    def keys(self, selector: Selector) -> Iterator[bytes]:
        """Where the map selectors has it."""
        number = self.number(selector)
        if not number:
            yield self._key(self._kinds[selector.kind], selector.value, selector.owner)
            return
        yield self._key(self._path_kind, _U64.pack(number), selector.owner)
        for ident in self._live[selector]:
            yield self._alias(ident, selector.owner)

    def number(self, selector: Selector) -> int:
        """That of its path; 0: it has none."""
        return self._paths[selector.path].number if selector.path else 0

    def ids(self, selector: Selector) -> frozenset[int]:
        """The cgroups that have been at its path, as far as anybody may still ask."""
        return frozenset((*self._live.get(selector, ()), *self._before.get(selector, ())))

    def current(self, selector: Selector) -> int | None:
        """The cgroup at its path, as far as is known; None: there is none."""
        return next(iter(reversed(self._live.get(selector, ()))), None)

    def write(self) -> None:
        """Tell the kernel side of paths, after their selectors' own keys: it copies those."""
        kernel = self._kernel
        for path, (number, owners) in self._paths.items():
            named = {f"owner{n}": owner for n, owner in enumerate(owners, 1)}
            value = kernel.path_owners.pack(number=number, **named)
            if self._written.get(path) == value:
                continue
            kernel.cgroup_ids.put(_U64.pack(number), bytes(8), new=True)
            kernel.cgroup_paths.put(kernel.cgroup_path.pack(path=path), value)
            self._written[path] = value

    def drop(self, selector: Selector) -> Iterator[bytes]:
        """A selector that nobody asks for any more; its keys, each to be deleted before the next
        is asked for: what the kernel side puts in until then is among them."""
        if selector not in self._live:
            yield from () if selector.path else self.keys(selector)
            return
        known = self._paths[selector.path]
        own, *aliases = self.keys(selector)
        del known.owners[selector.owner], self._live[selector]
        self._before.pop(selector, None)
        if known.owners:
            self.write()
        else:
            del self._paths[selector.path], self._by_number[known.number]
            self._forget(selector.path)
            self._leaving.append(known.number)
        yield own
        yield from aliases
        last = self._made_last(known.number)
        if last:
            yield self._alias(last, selector.owner)
        self.tick(_LEAVING)

    def tick(self, keep: int = 0) -> None:
        """Once a second: forget the numbers of paths that all have left."""
        while len(self._leaving) > keep:
            self._kernel.cgroup_ids.delete(_U64.pack(self._leaving.popleft()))

    def made(self, number: int, ident: int) -> list[bytes]:
        """A cgroup was made at a path; the keys that go with the one before."""
        known = self._by_number.get(number)
        if known is None:
            return []
        stale = []
        # There may have been another since, and its word is still to come.
        last = self._made_last(number)
        for selector in known.owners.values():
            live = self._live[selector]
            if ident != last:
                self._remember(selector, [ident])
            else:
                stale += self._retire(selector, [each for each in live if each != ident])
                self._live[selector] = [ident]
        return stale

    def unheard(self) -> list[tuple[int, int]]:
        """made() for all of which the word may have been lost."""
        lasts = ((number, self._made_last(number)) for number in self._by_number)
        return [(number, last) for number, last in lasts if last]

    def _take(self, selector: Selector, number: int) -> None:
        known = self._paths.setdefault(selector.path, _Path(number, {}))
        self._by_number[known.number] = known
        known.owners[selector.owner] = selector
        self._live[selector] = []

    def _retire(self, selector: Selector, ids: list[int]) -> list[bytes]:
        """Ids that choose no longer; their keys."""
        self._live[selector] = [each for each in self._live[selector] if each not in ids]
        self._remember(selector, ids)
        return [self._alias(ident, selector.owner) for ident in ids]

    def _remember(self, selector: Selector, ids: list[int]) -> None:
        self._before.setdefault(selector, deque(maxlen=_REMEMBERED)).extend(ids)

    def _made_last(self, number: int) -> int:
        value = self._kernel.cgroup_ids.get(_U64.pack(number))
        return int(_U64.unpack(value)[0]) if value else 0

    def _forget(self, path: bytes) -> None:
        self._written.pop(path, None)
        self._kernel.cgroup_paths.delete(self._kernel.cgroup_path.pack(path=path))

    def _alias(self, ident: int, owner: int) -> bytes:
        return self._key(self._kinds["cgroup"], _U64.pack(ident), owner)

    def _key(self, kind: int, value: bytes, owner: int) -> bytes:
        return self._kernel.selector_key.pack(value=value, kind=kind, owner=owner)
