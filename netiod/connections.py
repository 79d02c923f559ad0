"""The connections that the kernel has announced: what ids in events mean, and counters."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from netioctl.wire import frames
from netioctl.wire.endpoints import Connection, describe
from netiod.described import Described
from netiod.kernel import Kernel

#: Above so many rows of a process one pass over the whole map beats a look-up for each.
_SCAN_ABOVE = 1000
#: When the map is this full, connections make room, down to the second share.
_FULL, _ROOM = 0.9, 0.6


class Connections:
    """Identities of connections by id, as packed entries of stream frames.

    `owner` tells whose a process (PID, start time) is: the users share what room there is.
    """

    def __init__(self, kernel: Kernel, most: int, owner: Callable[[int, int], int]) -> None:
        self._kernel = kernel
        self._most = most
        self._owner = owner
        self._entries: dict[int, bytes] = {}
        self._keys: dict[int, bytes] = {}
        self._by_process: dict[tuple[int, int], array[int]] = {}
        #: Those that frames need not describe any more.
        self.described = Described(most)
        #: Processes whose connections an earlier broker was told of, not we.
        self._untold: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, number: int) -> bytes:
        """The packed entry of connection `number`; empty if it was never announced."""
        return self._entries.get(number, b"")

    def introduce(self, pid: int, start: int) -> None:
        """Frames are to describe the connections of a process once more: somebody may not have
        seen those that did."""
        if (numbers := self._by_process.get((pid, start))) is not None:
            self.described.forget(numbers)

    def process(self, number: int) -> tuple[int, int] | None:
        """Whose connection `number` is: PID and start time; None: it was never announced, or its
        row made room for others."""
        entry = self._entries.get(number)
        if entry is None:
            return None
        ident = next(frames.entries(memoryview(entry))).ident
        fields = self._kernel.ident.unpack(ident)
        return fields["tgid"], fields["start"]

    def announced(self, record: dict[str, Any]) -> None:
        """Take in a struct meta_conn or meta_unix."""
        names = record.get("names")
        self._add(record["id"], record["key"], record["peer_pid"], record["ident"], names)
        if len(self._entries) > self._most * _FULL:
            self._make_room()

    def _add(
        self, number: int, key: bytes, peer_pid: int, ident: bytes, names: bytes | None
    ) -> None:
        local = remote = comm = b""
        if names:
            name = self._kernel.unix_names.unpack(names)
            local = name["local"][: name["local_len"]]
            remote = name["remote"][: name["remote_len"]]
            comm = name["peer_comm"].split(b"\0", 1)[0]
        if number not in self._entries:
            fields = self._kernel.ident.unpack(ident)
            process = (fields["tgid"], fields["start"])
            self._by_process.setdefault(process, array("I")).append(number)
        entry = frames.Entry(number, peer_pid, ident, local, remote, comm)
        self._entries[number] = frames.pack_entry(entry)
        self.described.forget((number,))
        self._keys[number] = key

    def rows(self, pid: int, start: int) -> Iterator[tuple[Connection, dict[str, Any]]]:
        """Each connection of a process in words, with its counters (struct conn).

        Connections may come and go between two of them.
        """
        numbers = self._by_process.get((pid, start), array("I"))
        if len(numbers) > _SCAN_ABOVE or self._incomplete(pid, start):
            yield from self._scan(pid, start)
            return
        for number in list(numbers):
            key = self._keys.get(number)
            value = None if key is None else self._kernel.conns.get(key)
            if value is not None:
                yield self.words(number), self._kernel.conn.unpack(value)

    def forget(self, pid: int, start: int) -> None:
        """Delete the rows of a process, in the kernel too."""
        if self._incomplete(pid, start):
            for _ in self._scan(pid, start):
                pass
        for number in self._by_process.pop((pid, start), array("I")):
            self._delete(number)

    def recovered(self, pid: int, start: int) -> None:
        """A process whose connections were announced to an earlier broker."""
        self._untold.add((pid, start))

    def _incomplete(self, pid: int, start: int) -> bool:
        """Whether some may never have been announced to us."""
        if (pid, start) in self._untold:
            # The scan that follows finds them.
            self._untold.discard((pid, start))
            return True
        return bool(self._kernel.stat("META_LOST"))

    def _delete(self, number: int) -> None:
        del self._entries[number]
        self._kernel.conns.delete(self._keys.pop(number))
        self._kernel.names.delete(number.to_bytes(4, "little"))

    def words(self, number: int) -> Connection:
        """What is known of connection `number`, which was announced."""
        entry = next(frames.entries(memoryview(self._entries[number])))
        return describe(entry.ident, entry.peer_pid, entry.local, entry.remote, entry.comm)

    def _scan(self, pid: int, start: int) -> Iterator[tuple[Connection, dict[str, Any]]]:
        kernel = self._kernel
        # struct ident begins as struct proc_key does: start, tgid.
        prefix = kernel.key(pid, start)[:12]
        for key, value in kernel.conns.items():
            conn = kernel.conn.unpack(value)
            if conn["ident"].startswith(prefix):
                if conn["id"] not in self._entries:
                    names = kernel.names.get(conn["id"].to_bytes(4, "little"))
                    self._add(conn["id"], key, conn["peer_pid"], conn["ident"], names)
                yield self.words(conn["id"]), conn

    def _make_room(self) -> None:
        """Fold rows into their process's total, where they show as `other`: of the users who have
        most, those idle longest.

        A row that is deleted takes no total with it: a process's counters are kept apart, and
        `other` is what they hold more than the rows.
        """
        last = {}
        for key, value in self._kernel.conns.items():
            conn = self._kernel.conn.unpack(value)
            if self._keys.get(conn["id"]) == key:
                last[conn["id"]] = conn["last"]
        users: dict[int, list[int]] = {}
        for process, numbers in self._by_process.items():
            users.setdefault(self._owner(*process), []).extend(numbers)
        share = fair_share([len(numbers) for numbers in users.values()], int(self._most * _ROOM))
        for own in users.values():
            own.sort(key=lambda number: last.get(number, 0), reverse=True)
            for number in own[share:]:
                self._delete(number)
        for process, numbers in list(self._by_process.items()):
            kept = array("I", (n for n in numbers if n in self._entries))
            if kept:
                self._by_process[process] = kept
            else:
                del self._by_process[process]


def fair_share(counts: Sequence[int], room: int) -> int:
    """How much each may keep so that all have room: who has less than that keeps everything, and
    leaves the rest to those who have more."""
    ordered = sorted(counts)
    for at, count in enumerate(ordered):
        share = room // (len(ordered) - at)
        if count > share:
            return share
        room -= count
    return ordered[-1] if ordered else 0
