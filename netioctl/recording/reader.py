"""Reading a recording that a stranger may have written, or that ends where a disk was full."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

from netioctl.answers import Process, Summary
from netioctl.recording import format as form
from netioctl.recording import items as forms
from netioctl.recording.convert import Converter
from netioctl.recording.format import Block, Damaged, RecordingError
from netioctl.recording.items import Note, Run
from netioctl.render.words import printable
from netioctl.wire import layout
from netioctl.wire.endpoints import Connection

#: Bytes read at a time in search of the next whole block.
_SEARCH = 1 << 20


class Piece(NamedTuple):
    """What one block holds: the connections that its events name, and what a watch read.

    `data` has the events of all Runs, in order, as this program's struct event.
    """

    connections: dict[int, Connection]
    items: list[Run | Note]
    data: memoryview


class Reader:
    """A recording. `problems` are lines about what could not be read, `notices` about the rest.

    Raises:
        RecordingError: it is no recording, or nothing of it can be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[str] = []
        self.notices: list[str] = []
        self._fd = _open(path)
        try:
            self._end = os.fstat(self._fd).st_size
            try:
                self.header, big, begin = self._read_head()
                self._converter = Converter(self.header, big)
            except Damaged as error:
                raise RecordingError(f"{path} is not a recording: {error}") from None
            if self._converter.note:
                self.notices.append(f"{path} {self._converter.note}")
            #: All blocks, in the order of the file; `ended`: the end was written.
            self.blocks, self.ended = self._find_blocks(begin)
        except BaseException:
            self.close()
            raise
        record = layout.load().structs["event"]
        self._size, self._time = record.size, record.offset("time")
        if not self.ended and not self.problems:
            self.notices.append(
                f"{path} has no end: it is still being written, or was cut off; "
                "shown is what is there"
            )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def began(self) -> int:
        """When it begins, ns since the epoch."""
        found = self.header.get("began")
        if not isinstance(found, int) or not form.EARLIEST <= found <= form.LATEST:
            found = form.LATEST
        # Events that were under way when one file ended are in the next.
        return min((found, *(block.first for block in self.blocks)))

    @property
    def until(self) -> int:
        """When it ends, ns since the epoch."""
        return max((block.last for block in self.blocks), default=self.began)

    def text(self, name: str) -> str:
        """A text of the header, printable; empty where it has none."""
        found = self.header.get(name)
        return printable(found) if isinstance(found, str) else ""

    def processes(self) -> tuple[Process, ...]:
        """What was watched when the file began."""
        found: list[Process] = []
        for block in self.blocks:
            if block.kind == form.PROCESSES:
                found += self._processes(block)
        return tuple(found)

    def counters(self) -> tuple[Summary | None, Summary | None]:
        """What was counted when the file began, and last; both since the recording began."""
        blocks = [block for block in self.blocks if block.kind == form.COUNTERS]
        base: Summary | None = None
        if blocks and (first := self._summary(blocks)) is not None and first[1]:
            base = first[0]
        # The last piece of each says so.
        ends = [at for at, block in enumerate(blocks) if block.events]
        for number in range(len(ends) - 1, -1, -1):
            begin = ends[number - 1] + 1 if number else 0
            if (last := self._summary(blocks[begin : ends[number] + 1])) is not None:
                return base, None if last[1] else last[0]
        return base, None

    def pieces(self, since: int, until: int) -> Iterator[Piece]:
        """The blocks that have something of that time (ns since the epoch)."""
        for block in self.blocks:
            if block.kind != form.STREAM or block.last < since or block.first > until:
                continue
            content = self._content(block)
            if content is None:
                continue
            try:
                yield self._piece(block, content)
            except Damaged as error:
                self._problem(str(error), block.offset)

    def _piece(self, block: Block, content: bytes) -> Piece:
        head, columns, number, size = form.unpack_stream(content)
        data = self._converter.rows(columns, number, size)
        found = [forms.unpack(each) for each in _list(head, "items")]
        runs = [each for each in found if isinstance(each, Run)]
        if sum(run.number for run in runs) != number:
            raise Damaged("a block is damaged")
        at, rows = 0, self._size // 8
        times = array("Q", data)[self._time // 8 :: rows]
        for run in runs:
            part = times[at : at + run.number]
            at += run.number
            if not (
                block.first <= min(part) + run.wall_offset
                and max(part) + run.wall_offset <= block.last
            ):
                raise Damaged("a block's times are wrong")
        known = forms.connections(_list(head, "connections"))
        if None in found:
            self._newer()
        return Piece(known, [each for each in found if each is not None], memoryview(data))

    def _newer(self) -> None:
        line = f"{self.path} holds what a newer netio wrote and this one cannot show"
        if line not in self.problems:
            self.problems.append(line)

    def _summary(self, blocks: list[Block]) -> tuple[Summary, bool] | None:
        """The counters that begin with the first of these blocks, and whether they are a base."""
        rows: list[Any] = []
        try:
            for block in blocks:
                content = self._content(block)
                if content is None:
                    return None
                found = form.load(content)
                rows += _list(found, "rows")
                if "summary" in found:
                    return forms.unpack_summary(found["summary"], rows), found.get("base") is True
        except Damaged as error:
            self._problem(str(error), block.offset)
        return None

    def _processes(self, block: Block) -> tuple[Process, ...]:
        content = self._content(block)
        if content is None:
            return ()
        try:
            return forms.processes(form.load(content).get("watched"))
        except Damaged as error:
            self._problem(str(error), block.offset)
            return ()

    # --- bytes ---------------------------------------------------------------------------------

    def _read_head(self) -> tuple[dict[str, Any], bool, int]:
        fixed = self._read(0, form.HEAD_SIZE)
        head = form.unpack_head(fixed)
        if head.least > form.VERSION:
            raise RecordingError(
                f"{self.path} was written by a newer netio (recordings {head.version}; this one "
                f"reads {form.VERSION}): install that one"
            )
        text = self._read(form.HEAD_SIZE, head.size)
        if len(text) < head.size:
            raise Damaged("it ends within its header")
        return form.check_head(fixed, text), head.big, form.HEAD_SIZE + head.size

    def _find_blocks(self, begin: int) -> tuple[list[Block], bool]:
        """By the index; where there is none, or it is damaged, by going from block to block."""
        place = self._end - form.TRAILER_SIZE
        index = form.unpack_trailer(self._read(place, form.TRAILER_SIZE)) if place > begin else None
        if index is not None and begin <= index < place:
            try:
                stored = form.unpack_block(self._read(index, form.BLOCK_SIZE), index)
                if stored.block.kind != form.INDEX:
                    raise Damaged("its index is damaged")
                body = self._read(index + form.BLOCK_SIZE, min(stored.stored, self._end))
                return form.unpack_index(form.unpack_content(stored, body), index), True
            except Damaged as error:
                self._problem(str(error), index)
        return self._scan(begin, place if index is not None else self._end), index is not None

    def _scan(self, at: int, end: int) -> list[Block]:
        blocks: list[Block] = []
        while at < end:
            try:
                head = form.unpack_block(self._read(at, form.BLOCK_SIZE), at)
                after = at + form.BLOCK_SIZE + head.stored
                if after > end:
                    raise Damaged("it ends within a block")
            except Damaged as error:
                place = self._search(at + 1, end)
                self._problem(str(error), at, (end if place is None else place) - at)
                if place is None:
                    break
                at = place
                continue
            if head.block.kind != form.INDEX:
                blocks.append(head.block)
            at = after
        return blocks

    def _search(self, at: int, end: int) -> int | None:
        """Where the next block that looks whole begins."""
        while at < end:
            data = self._read(at, min(_SEARCH, end - at))
            if not data:
                return None
            found = form.next_block(data)
            if found < 0:
                # A magic may lie across the end of what was read.
                at += max(1, len(data) - 3)
                continue
            at += found
            try:
                form.unpack_block(self._read(at, form.BLOCK_SIZE), at)
                return at
            except Damaged:
                at += 1
        return None

    def _content(self, block: Block) -> bytes | None:
        """What a block holds; None where it cannot be read, which is told."""
        if block.kind not in (form.STREAM, form.PROCESSES, form.COUNTERS):
            self._newer()
            return None
        try:
            head = form.unpack_block(self._read(block.offset, form.BLOCK_SIZE), block.offset)
            if head.block != block:
                raise Damaged("its index is damaged")
            size = min(head.stored, self._end - block.offset)
            return form.unpack_content(head, self._read(block.offset + form.BLOCK_SIZE, size))
        except Damaged as error:
            self._problem(str(error), block.offset)
            return None

    def _problem(self, what: str, offset: int, size: int = 0) -> None:
        """Told once, however much is damaged: one line says enough."""
        if self.problems:
            return
        if what.startswith("it ends within"):
            line = f"{self.path} is truncated: its last {size:,} bytes are no whole block"
        else:
            line = f"{self.path} is corrupt at byte {offset:,}: {what}"
        self.problems.append(f"{line}; shown is what can be read")

    def _read(self, offset: int, size: int) -> bytes:
        """Less than `size` bytes where the file ends."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise RecordingError(f"cannot read {self.path}: {error.strerror}") from error


def _open(path: str) -> int:
    try:
        # Not to wait for who may never write to a FIFO.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no such name can exist"
        raise RecordingError(f"cannot read {path}: {why}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise RecordingError(f"{path} is not a regular file: record writes one")
    return fd


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise Damaged("a block is damaged")
    return found
