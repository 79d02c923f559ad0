"""The files of one recording (record --max-files) as one: FILE, which is the newest, FILE.1 ..."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Union

from netioctl.answers import Process, Summary
from netioctl.recording.format import STREAM, Block, RecordingError
from netioctl.recording.items import Note
from netioctl.recording.reader import Piece, Reader
from netioctl.render.words import lapse, printable
from netioctl.watching import Interrupted

_SECOND = 1_000_000_000
#: Descriptors that are left to others.
_SPARE = 64


class Parts:
    """Files of one recording, in the order in which they were written; else as Reader.

    One path means all files of its recording that lie beside it, several just these.

    Raises:
        RecordingError: one of them cannot be read, or is of another recording.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        #: Where it is, for people.
        self.path = paths[0]
        self._passed_over: list[str] = []
        beside = _beside(paths[0]) if len(paths) == 1 else []
        _make_room(len(paths) + len(beside))
        self._parts: list[Reader] = []
        try:
            if beside and not os.path.lexists(paths[0]):
                # A full disk may have kept it from being begun.
                self._passed_over.append(f"{paths[0]} is missing: shown are those before it")
                paths = ()
            for path in paths:
                self._add(path)
            self._passed_over += self._add_those_that_belong(beside)
        except BaseException:
            self.close()
            raise
        self._parts.sort(key=_number)
        pairs = list(zip(self._parts, self._parts[1:]))
        self._gaps = [(a, b) for a, b in pairs if _number(b) > _number(a) + 1]

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all."""
        for part in self._parts:
            part.close()

    @property
    def problems(self) -> list[str]:
        """What could not be read so far, and which files are missing, a line each."""
        return [*(line for part in self._parts for line in part.problems), *map(_gap, self._gaps)]

    @property
    def notices(self) -> list[str]:
        """What else is worth knowing, a line each."""
        return [*self._passed_over, *(line for part in self._parts for line in part.notices)]

    @property
    def blocks(self) -> list[Block]:
        """Those of all files."""
        return [block for part in self._parts for block in part.blocks]

    @property
    def ended(self) -> bool:
        """Whether the end was written."""
        return self._parts[-1].ended

    @property
    def began(self) -> int:
        """When the first begins, ns since the epoch."""
        return min(part.began for part in self._parts)

    @property
    def until(self) -> int:
        """When the last ends, ns since the epoch."""
        return max(part.until for part in self._parts)

    def text(self, name: str) -> str:
        """A text of the header."""
        return self._parts[-1].text(name)

    def processes(self) -> tuple[Process, ...]:
        """What was watched when the first file began, and after files that are missing."""
        begins = [self._parts[0], *(after for _, after in self._gaps)]
        known: dict[tuple[int, int], Process] = {}
        for process in chain.from_iterable(part.processes() for part in begins):
            known.setdefault((process.pid, process.start), process)
        return tuple(known.values())

    def counters(self) -> tuple[Summary | None, Summary | None]:
        """What was counted when the first file began, and last."""
        return self._parts[0].counters()[0], self._parts[-1].counters()[1]

    def pieces(self, since: int, until: int) -> Iterator[Piece]:
        """The blocks that have something of that time; where files are missing, a note says so."""
        missing = {id(after): before for before, after in self._gaps}
        for part in self._parts:
            if (before := missing.get(id(part))) is not None:
                begin, end = _ends(before, part)
                note = Note(end, Interrupted((end - begin) / _SECOND, None))
                if since <= end <= until:
                    yield Piece({}, [note], memoryview(b""))
            yield from part.pieces(since, until)

    def _add(self, path: str) -> None:
        reader = Reader(path)
        for part in self._parts:
            if part.header.get("recording") != reader.header.get("recording"):
                reader.close()
                raise RecordingError(f"{path} is of another recording than {part.path}")
            if _number(part) == _number(reader):
                # The same once more: it was renamed while we looked.
                reader.close()
                return
        self._parts.append(reader)

    def _add_those_that_belong(self, paths: Sequence[str]) -> Iterator[str]:
        """Lines about those that do not."""
        errors = []
        for path in paths:
            try:
                self._add(path)
            except RecordingError as error:
                if not self._parts:
                    raise
                errors.append(str(error))
        if errors:
            more = f" (and {len(errors) - 1} more such files)" if len(errors) > 1 else ""
            yield f"passed over: {errors[0]}{more}"


#: What is shown of a recording: of one file, or of several.
Recording = Union[Reader, Parts]


def _beside(path: str) -> list[str]:
    """PATH.1, PATH.2 ... as far as they are there."""
    directory, name = os.path.split(path)
    try:
        found = os.listdir(directory or ".")
    except (OSError, ValueError):
        return []
    ends = (each[len(name) + 1 :] for each in found if each.startswith(f"{name}."))
    return [f"{path}.{end}" for end in sorted(filter(_is_number, ends), key=int)]


def _is_number(text: str) -> bool:
    """Such as rotation puts at the end of a name."""
    return text.isascii() and text.isdecimal() and len(text) < 6 and text[0] != "0"


def _number(reader: Reader) -> int:
    found = reader.header.get("part")
    return found if isinstance(found, int) else 0


def _ends(before: Reader, after: Reader) -> tuple[int, int]:
    """When a gap begins and ends, ns since the epoch."""
    end = min((b.first for b in after.blocks if b.kind == STREAM), default=after.began)
    return min(before.until, end), end


def _gap(between: tuple[Reader, Reader]) -> str:
    before, after = between
    begin, end = _ends(before, after)
    number = _number(after) - _number(before) - 1
    files = "a file is" if number == 1 else f"{number:,} files are"
    names = f"{printable(before.path)} and {printable(after.path)}"
    return f"{files} missing between {names}: {lapse((end - begin) / _SECOND)} are not shown"


def _make_room(files: int) -> None:
    """Let this process have so many files open, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + _SPARE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
