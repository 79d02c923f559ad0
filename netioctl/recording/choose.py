"""Which processes of a recording are wanted, where it is not said by PID alone."""

from __future__ import annotations

from netioctl.answers import Process
from netioctl.recording.format import RecordingError
from netioctl.recording.items import Note
from netioctl.recording.parts import Recording
from netioctl.targets import Selector, Targets
from netioctl.watching import Began
from netioctl.wire.errors import UsageError


def pids(reader: Recording, targets: Targets) -> tuple[int, ...]:
    """The PIDs of what `targets` chooses; none: all.

    Raises:
        UsageError: a recording does not know what is asked for.
        RecordingError: it has no such process.
    """
    if not (targets.selectors or targets.follow):
        return targets.pids
    for selector in targets.selectors:
        if selector.kind not in ("name", "user", "all"):
            raise UsageError(
                f"{selector.label}: a recording tells processes by PID, --name and --user alone"
            )
    wanted = set(targets.pids)
    begun = [
        note.item
        for piece in reader.pieces(reader.began, reader.until)
        for note in piece.items
        if isinstance(note, Note) and isinstance(note.item, Began)
    ]
    for process in (*reader.processes(), *(each.process for each in begun)):
        if any(_matches(selector, process) for selector in targets.selectors):
            wanted.add(process.pid)
    if targets.follow:
        # Parents come before their children.
        for each in begun:
            if each.parent in wanted:
                wanted.add(each.process.pid)
    if not wanted:
        labels = " ".join(selector.label for selector in targets.selectors)
        raise RecordingError(f"{reader.path} has no process for {labels}")
    return tuple(sorted(wanted))


def _matches(selector: Selector, process: Process) -> bool:
    if selector.kind == "name":
        return process.comm == selector.value
    return selector.kind == "all" or process.uid == selector.value
