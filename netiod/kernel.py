"""The kernel side as the broker sees it: maps and rings, named as in bpf/maps.c."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from typing import Any

from netioctl.wire import layout
from netioctl.wire.layout import Struct
from netiod.cells import Cells
from netiod.maps import Map, Stack
from netiod.ring import EventRing, MetaRing
from netiod.rows import Rows
from netiod.shared_array import SharedArray

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Kernel:
    """Maps and rings of the loaded programs. Keys and values are dicts of bpf/event.h's fields."""

    def __init__(self, fds: dict[str, int], info: dict[str, Any]) -> None:
        """`info`: what loading told, of which the sizes are used."""
        self.layout = layout.load()
        structs = self.layout.structs
        self.event = structs["event"]
        self.events = EventRing(fds["map:events"], info["ring_size"], self.event.size)
        self.meta = MetaRing(fds["map:meta"], info["meta_size"])
        self.proc, self.proc_key = structs["proc"], structs["proc_key"]
        self.conn, self.conn_key, self.ident = (
            structs["conn"],
            structs["conn_key"],
            structs["ident"],
        )
        self.hold = structs["hold"]
        self.unix_names = structs["unix_names"]
        self._cells = Cells(
            SharedArray(fds["map:cells"], self.proc.size, 2 * info["cells"]),
            Map(fds["map:elsewhere"], 4, 4),
            Map(fds["map:claims"], 4, 4),
            self.proc,
        )
        self.selector_key, self.selector = structs["selector_key"], structs["selector"]
        self.selectors = Map(fds["map:selectors"], self.selector_key.size, self.selector.size)
        self.cgroup_path, self.path_owners = structs["cgroup_path"], structs["path_owners"]
        self.cgroup_paths = Map(
            fds["map:cgroup_paths"], self.cgroup_path.size, self.path_owners.size
        )
        self.cgroup_ids = Map(fds["map:cgroup_ids"], 8, 8)
        self.passed_over = Map(fds["map:passed_over"], 4, 4)
        self.exited = Map(fds["map:exited"], self.proc_key.size, self.proc.size)
        self.holds = Map(fds["map:holds"], self.proc_key.size, self.hold.size)
        self.conns = Rows(
            Map(fds["map:conns"], self.conn_key.size, 4),
            Map(fds["map:rows"], 4, self.conn.size),
            Stack(fds["map:free_rows"]),
        )
        self.names = Map(fds["map:names"], 4, self.unix_names.size)
        self._filter = Map(fds["map:filter"], 4, 8)
        self._stats = Map(fds["map:stats"], 4, 8)
        self._config = Map(fds["map:config"], 4, 8)
        self._words: dict[int, int] = {}
        self.programs = {k[5:]: v for k, v in fds.items() if k.startswith("prog:")}

    def set_filter(self, pid: int, flags: int) -> None:
        """Set the four bits of `pid` (NETIO_FILTER_*). The broker alone writes this map."""
        index, shift = pid >> 4, (pid & 15) * 4
        word = self._words.get(index, 0) & ~(15 << shift) | flags << shift
        if word:
            self._words[index] = word
        else:
            self._words.pop(index, None)
        self._filter.put(_U32.pack(index), _U64.pack(word))

    def keep_filter(self, pids: Iterable[int]) -> dict[int, int]:
        """Take over an earlier broker's filter for `pids`; the flags that each has.

        Word by word, so that none of them is out of the filter for a moment.
        """
        shifts: dict[int, list[int]] = {}
        for pid in pids:
            shifts.setdefault(pid >> 4, []).append((pid & 15) * 4)
        flags = {}
        for index, own in shifts.items():
            word = _U64.unpack(self._filter.get(_U32.pack(index)) or bytes(8))[0]
            kept = word & sum(15 << shift for shift in own)
            if kept:
                self._words[index] = kept
            if kept != word:
                self._filter.put(_U32.pack(index), _U64.pack(kept))
            flags.update({index << 4 | shift // 4: kept >> shift & 15 for shift in own})
        return flags

    def stat(self, name: str) -> int:
        """A counter of the kernel side: NETIO_STAT_<name>."""
        index = self.layout.constants[f"NETIO_STAT_{name}"]
        return int(_U64.unpack(self._stats.get(_U32.pack(index)) or bytes(8))[0])

    def configure(self, name: str, value: int) -> None:
        """Set NETIO_CONFIG_<name>."""
        index = self.layout.constants[f"NETIO_CONFIG_{name}"]
        self._config.put(_U32.pack(index), _U64.pack(value))

    def configured(self, name: str) -> int:
        """What configure() has set."""
        index = self.layout.constants[f"NETIO_CONFIG_{name}"]
        return int(_U64.unpack(self._config.get(_U32.pack(index)) or bytes(8))[0])

    def process(self, pid: int) -> dict[str, Any] | None:
        """The counters (struct proc) of `pid` if it is in the filter and lives."""
        return self._cells.get(pid)

    def counts(self, pid: int) -> bool:
        """Whether `pid` is in the filter and lives."""
        return pid in self._cells

    def processes(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(pid, counters) of all living processes in the filter."""
        return self._cells.items()

    def exited_process(self, pid: int, start: int) -> dict[str, Any] | None:
        """The final counters of a process that has exited."""
        return self._unpack(self.proc, self.exited.get(self.key(pid, start)))

    def key(self, pid: int, start: int) -> bytes:
        """struct proc_key."""
        return self.proc_key.pack(start=start, tgid=pid)

    def attach(self, pid: int, start: int) -> bool:
        """Begin to count `pid`, for which there must be room; False if it is there already."""
        return self._cells.put(pid, self.proc.pack(since=time.monotonic_ns(), start=start))

    def settle(self) -> None:
        """Once a second: finish what detach() began."""
        self._cells.settle()

    def recover(self) -> None:
        """Take up what an earlier broker had not finished."""
        self._cells.recover()

    def detach(self, pid: int) -> None:
        """Stop counting `pid` and forget its counters."""
        self._cells.delete(pid)

    def close(self, pid: int) -> None:
        """Do what the hook of exits does, for a process that it was not run for."""
        counters = self.process(pid)
        if counters is None:
            return
        final = {**counters, "until": time.monotonic_ns()}
        self.exited.put(self.key(pid, counters["start"]), self.proc.pack(**final))
        self.detach(pid)

    @staticmethod
    def _unpack(record: Struct, value: bytes | None) -> dict[str, Any] | None:
        return None if value is None else record.unpack(value)
