"""Writing a recording: blocks go to the file about once a second, each whole in itself."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from netioctl import __version__
from netioctl.answers import Process, Summary
from netioctl.recording import format as form
from netioctl.recording import items as forms
from netioctl.recording.format import Block, RecordingError
from netioctl.stream import Events, Lost
from netioctl.watching import Interrupted
from netioctl.wire import layout

if TYPE_CHECKING:
    from netioctl.watching import Item
    from netioctl.wire.endpoints import Connection

#: A block is written at so many bytes of events, or after so many seconds.
_BLOCK_BYTES, _BLOCK_SECONDS = 256 << 10, 1.0
#: Entries of a block at most, which keeps it below format.MAX_RAW.
_MOST_ITEMS = 8192
#: Rows of counters, and processes, in one block.
_ROWS, _PROCESSES = 8192, 4096
#: Blocks that an index has room for; a file with more is read without one.
_MOST_INDEXED = form.MAX_RAW // form.ENTRY_SIZE


class Writer:
    """A recording that is being written to `path`, which must not be there yet unless `force`.

    `lookup` tells the connection of an id in the events of the last add(). `max_size` in bytes,
    of one file; `max_files`: how many of them, of which the newest is `path`, then `path.1` ...

    Raises, here and in every method:
        RecordingError: the file cannot be written; what is in it by then can be read.
    """

    def __init__(
        self,
        path: str,
        lookup: Callable[[int], Connection],
        *,
        max_size: int | None = None,
        max_files: int = 1,
        force: bool = False,
    ) -> None:
        self.path = path
        self._lookup = lookup
        self._max_size, self._max_files, self._force = max_size, max_files, force
        record = layout.load().structs["event"]
        self._size, self._conn = record.size, record.offset("conn")
        self._bytes, self._time = record.offset("bytes"), record.offset("time")
        self._identity, self._part = uuid.uuid4().hex, 0
        #: So far, of all files: events, the bytes that these moved, events known to be lost.
        self.events = self.moved = self.lost = 0
        self._names: dict[int, Connection] = {}
        self._items: list[list[Any]] = []
        self._data: list[bytes] = []
        self._pending = self._reserve = 0
        self._first, self._last = form.LATEST, form.EARLIEST
        self._generation = 0
        self._due = 0.0
        self._fd, self._offset, self._index = -1, 0, bytearray()
        self._check_names()
        self._open()

    @property
    def size(self) -> int:
        """Bytes in the file so far."""
        return self._offset

    @property
    def full(self) -> bool:
        """Whether the end of this file should be written now."""
        if self._max_size is None:
            return False
        index = len(self._index) + form.ENTRY_SIZE + form.BLOCK_SIZE + form.TRAILER_SIZE
        return self._offset + self._pending // 2 + self._reserve + index >= self._max_size

    @property
    def due(self) -> float:
        """When tick() should be called if nothing comes before (monotonic seconds)."""
        return self._due

    def processes(self, value: Sequence[Process]) -> None:
        """Say what is watched."""
        for at in range(0, len(value), _PROCESSES):
            known = [forms.process(each) for each in value[at : at + _PROCESSES]]
            self._block(form.PROCESSES, form.dump({"watched": known}))

    def counters(self, value: Summary, *, base: bool = False) -> None:
        """Keep what was counted by now; `base`: when this file began."""
        self.flush()
        rows = value.rows
        for at in range(0, max(1, len(rows)), _ROWS):
            content: dict[str, Any] = {"rows": [forms.row(row) for row in rows[at : at + _ROWS]]}
            last = at + _ROWS >= len(rows)
            if last:
                content.update(base=base, summary=forms.summary(value))
            self._block(form.COUNTERS, form.dump(content), events=int(last))

    def add(self, items: Iterable[Item], generation: int) -> None:
        """Keep what a watch has read; `generation` as Session has it."""
        if generation != self._generation:
            # The same ids mean other connections from here on.
            self.flush()
            self._generation = generation
        now = time.time_ns()
        for item in items:
            if isinstance(item, Events):
                self._add_events(item)
                continue
            if isinstance(item, (Lost, Interrupted)):
                self.lost += item.events or 0
            note = forms.pack_note(item, now)
            if note is not None:
                self._items.append(note)
                self._first, self._last = min(self._first, now), max(self._last, now)
            if len(self._items) >= _MOST_ITEMS:
                self.flush()
        self.tick()

    def tick(self) -> None:
        """Write what has waited long enough."""
        now = time.monotonic()
        if not self._items:
            self._due = now + _BLOCK_SECONDS
        elif self._pending >= _BLOCK_BYTES or now >= self._due:
            self.flush()
            self._due = now + _BLOCK_SECONDS

    def flush(self) -> None:
        """Write what waits."""
        if not self._items:
            return
        used = [forms.pack_connection(*each) for each in self._names.items()]
        data = b"".join(self._data)
        events = len(data) // self._size
        columns = form.to_columns(data, self._size)
        content = {"connections": used, "items": self._items}
        raw = form.pack_stream(content, columns, events, self._size)
        first, last = self._first, max(self._first, self._last)
        self._names, self._items, self._data, self._pending = {}, [], [], 0
        self._first, self._last = form.LATEST, form.EARLIEST
        self._block(form.STREAM, raw, first, last, events)

    def rotate(self, counted: Summary | None, watched: Sequence[Process]) -> bool:
        """End this file and begin the next; False: there is to be none."""
        if self._max_files <= 1:
            return False
        self.close(counted)
        try:
            for number in range(self._max_files - 1, 0, -1):
                before = self.path if number == 1 else f"{self.path}.{number - 1}"
                if os.path.lexists(before):
                    os.replace(before, f"{self.path}.{number}")
        except OSError as error:
            raise RecordingError(f"cannot rename {self.path}: {error.strerror}") from error
        self._part += 1
        self._open()
        self.processes(watched)
        if counted is not None:
            self.counters(counted, base=True)
        return True

    def close(self, counted: Summary | None) -> None:
        """Write the end; `counted` is what was counted, None where nobody knows."""
        try:
            self.flush()
            if counted is not None:
                self.counters(counted)
            if 0 < len(self._index) <= _MOST_INDEXED * form.ENTRY_SIZE:
                self._write(form.pack_index(bytes(self._index), self._offset))
            with contextlib.suppress(OSError):  # a file system that cannot
                os.fsync(self._fd)
        finally:
            self._shut()

    def abandon(self) -> None:
        """Close without an end."""
        self._shut()

    def _shut(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _add_events(self, item: Events) -> None:
        data = bytes(item.data)
        words = array("I", data)
        step = self._size // 4
        used = set(words[self._conn // 4 :: step])
        used.discard(0)
        for ident in used.difference(self._names):
            self._names[ident] = self._lookup(ident)
        times = array("Q", data)[self._time // 8 :: self._size // 8]
        self._first = min(self._first, min(times) + item.wall_offset)
        self._last = max(self._last, max(times) + item.wall_offset)
        self.events += item.number
        self.moved += sum(words[self._bytes // 4 :: step])
        self._data.append(data)
        self._pending += len(data)
        run, last = ["events", *item[:4]], self._items[-1] if self._items else None
        if last is not None and last[:4] == run[:4]:
            last[4] += item.number
        else:
            self._items.append(run)
        if self._pending >= 2 * _BLOCK_BYTES:
            self.flush()

    def _check_names(self) -> None:
        others = [f"{self.path}.{number}" for number in range(1, self._max_files)]
        for path in (self.path, *others):
            if not os.path.lexists(path):
                continue
            if not self._force:
                raise RecordingError(
                    f"{path} is there already: choose another name, or --force replaces it"
                )
            if os.path.isdir(path) or not (os.path.isfile(path) or os.path.islink(path)):
                raise RecordingError(f"{path} is not a regular file")
        with contextlib.suppress(FileNotFoundError):
            for path in (self.path, *others):
                if self._force and os.path.lexists(path):
                    os.unlink(path)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            # What somebody's programs talk to is nobody else's business.
            self._fd = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise RecordingError(f"cannot write {self.path}: {error.strerror}") from error
        self._offset, self._index = 0, bytearray()
        self._write(form.pack_head(self._header()))

    def _header(self) -> dict[str, Any]:
        host = os.uname()
        known = layout.load()
        return {
            "recording": self._identity,
            "part": self._part,
            "netio": __version__,
            "host": host.nodename,
            "kernel": host.release,
            "arch": host.machine,
            "began": time.time_ns(),
            "began_monotonic": time.monotonic_ns(),
            "layout": known.fingerprint,
            "event": layout.text_of("event"),
            "calls": known.names("CALL"),
            "directions": known.names("DIR"),
        }

    def _block(self, kind: int, raw: bytes, first: int = 0, last: int = 0, events: int = 0) -> None:
        now = max(form.EARLIEST, time.time_ns())
        data = form.pack_block(kind, raw, first or now, last or now, events)
        block = Block(self._offset, kind, events, first or now, last or now)
        self._write(data)
        if kind == form.COUNTERS:
            # The end of the file has one like it.
            self._reserve = max(self._reserve, 2 * len(data))
        if len(self._index) <= _MOST_INDEXED * form.ENTRY_SIZE:
            self._index += form.pack_entry(block)

    def _write(self, data: bytes) -> None:
        view, at = memoryview(data), 0
        try:
            while at < len(view):
                at += os.write(self._fd, view[at:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._offset)  # a half block is of no use
            self._shut()
            raise RecordingError(
                f"cannot go on writing {self.path}: {error.strerror}; what was recorded before "
                "can be read"
            ) from error
        self._offset += len(data)
