"""The connections that the kernel has announced: what the ids in events mean, and their counters."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from netiod.kernel import Kernel
from netioctl.wire import frames
from netioctl.wire.endpoints import Connection, describe

#: Above so many rows of a process one pass over the whole map beats a look-up for each.
_SCAN_ABOVE = 1000
#: When the map is this full, the connections idle longest make room, down to the second share.
_FULL, _ROOM = 0.9, 0.6


class Connections:
    """Identities of connections by id, as packed entries of stream frames."""

    def __init__(self, kernel: Kernel, most: int) -> None:
        self._kernel = kernel
        self._most = most
        self._entries: dict[int, bytes] = {}
        self._by_process: dict[tuple[int, int], array[int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, ident: int) -> bytes:
        """The packed entry of connection `ident`; empty if it was never announced."""
        return self._entries.get(ident, b"")

    def announced(self, record: dict[str, Any]) -> None:
        """Take in a struct meta_conn or meta_unix."""
        names = record.get("names")
        self._add(record["id"], record["peer_pid"], record["key"], names)

    def _add(self, ident: int, peer_pid: int, key: bytes, names: bytes | None) -> None:
        local = remote = b""
        if names:
            name = self._kernel.unix_names.unpack(names)
            local = name["local"][: name["local_len"]]
            remote = name["remote"][: name["remote_len"]]
        if ident not in self._entries:
            fields = self._kernel.conn_key.unpack(key)
            process = (fields["tgid"], fields["start"])
            self._by_process.setdefault(process, array("I")).append(ident)
        self._entries[ident] = frames.pack_entry(
            frames.Entry(ident, peer_pid, key, local, remote)
        )
        if len(self._entries) > self._most * _FULL:
            self._make_room()

    def rows(self, pid: int, start: int) -> list[tuple[Connection, dict[str, Any]]]:
        """Each connection of a process in words, with its counters (struct conn)."""
        idents = self._by_process.get((pid, start), array("I"))
        if len(idents) > _SCAN_ABOVE or self._kernel.stat("META_LOST"):
            return list(self._scan(pid, start))
        found = []
        for ident in idents:
            entry = self._unpacked(ident)
            value = self._kernel.conns.get(entry.key)
            if value is not None:
                found.append((_words(entry), self._kernel.conn.unpack(value)))
        return found

    def forget(self, pid: int, start: int) -> None:
        """Delete the rows of a process, in the kernel too."""
        if self._kernel.stat("META_LOST"):
            for key, value in list(self._kernel.conns.items()):
                fields = self._kernel.conn_key.unpack(key)
                if (fields["tgid"], fields["start"]) == (pid, start):
                    self._delete(self._kernel.conn.unpack(value)["id"], key)
        for ident in self._by_process.pop((pid, start), array("I")):
            if ident in self._entries:
                self._delete(ident, self._unpacked(ident).key)

    def _delete(self, ident: int, key: bytes) -> None:
        self._entries.pop(ident, None)
        self._kernel.conns.delete(key)
        self._kernel.names.delete(ident.to_bytes(4, "little"))

    def _unpacked(self, ident: int) -> frames.Entry:
        return next(frames.entries(memoryview(self._entries[ident])))

    def _scan(self, pid: int, start: int) -> Iterator[tuple[Connection, dict[str, Any]]]:
        kernel = self._kernel
        prefix = kernel.key(pid, start)[:12]
        for key, value in kernel.conns.items(batch=4096):
            # struct conn_key begins as struct proc_key does: start, tgid.
            if key.startswith(prefix):
                conn = kernel.conn.unpack(value)
                if not self.entry(conn["id"]):
                    packed = conn["id"].to_bytes(4, "little")
                    self._add(conn["id"], conn["peer_pid"], key, kernel.names.get(packed))
                yield _words(self._unpacked(conn["id"])), conn

    def _make_room(self) -> None:
        """Fold the rows idle longest into their process's total, where they show as `other`.

        A row that is deleted takes no total with it: a process's counters are kept apart, and
        `other` is what they hold more than the rows.
        """
        idle = sorted(
            (conn["last"], conn["id"], key)
            for key, conn in (
                (key, self._kernel.conn.unpack(value))
                for key, value in self._kernel.conns.items(batch=4096)
            )
        )
        for _, ident, key in idle[: max(0, len(idle) - int(self._most * _ROOM))]:
            self._delete(ident, key)
        for process, idents in list(self._by_process.items()):
            kept = array("I", (i for i in idents if i in self._entries))
            if kept:
                self._by_process[process] = kept
            else:
                del self._by_process[process]


def _words(entry: frames.Entry) -> Connection:
    return describe(entry.key, entry.peer_pid, entry.local, entry.remote)
