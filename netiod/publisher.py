"""From the ring to the gates: drain in bulk, split by process, pack frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from netioctl.wire import PROTOCOL_VERSION, frames
from netiod.connections import Connections
from netiod.holding import Holding
from netiod.holdings import Holdings
from netiod.kernel import Kernel
from netiod.ledger import Ledger
from netiod.streams import Streams
from netiod.wallclock import WallClock

_LOG = logging.getLogger("netiod.publisher")
#: Events taken at once: bounds a batch's memory and the time other work waits for it.
_BATCH = 65536
#: Bytes of a frame for events and connection entries, and the events in a full one: the rest is
#: for the connections that they belong to.
_FRAME_ROOM = frames.MAX_FRAME - frames.HEADER_SIZE - 16
_FRAME_EVENTS = 1920
#: Distinct connections in a batch up to which they are picked out one by one.
_FEW = 8
#: Seconds after which a quiet process gets an empty frame, which tells of losses. It is looked for
#: once a second; who does something that often is not quiet.
_QUIET = 1.5
#: Columns of struct event, in 4-byte words.
_TGID, _CONN, _LOST, _REST = 2, 4, 6, 7
#: The largest value of the last word whose upper half, `error`, is 0.
_NO_ERROR = 0xFFFF

Batch = npt.NDArray[np.uint32]
Exited = Callable[[Holding], None]


class Publisher:
    """Drains both rings. `streams` get each frame, `exited` each holding whose process is gone,
    `chosen` each struct meta_chosen, `made` each struct meta_cgroup."""

    #: How often a gate was replaced: tells the frames after from those before.
    replaced = 0

    def __init__(
        self,
        kernel: Kernel,
        holdings: Holdings,
        connections: Connections,
        ledger: Ledger,
        epoch: int,
        streams: Streams,
        exited: Exited,
        chosen: Callable[[dict[str, Any]], None],
        made: Callable[[dict[str, Any]], None],
    ) -> None:
        self._kernel, self._holdings, self._connections = kernel, holdings, connections
        self._ledger, self._epoch = ledger, epoch
        self._streams, self._exited = streams, exited
        self._lost_seen = self._flags = 0
        self._wall = WallClock()
        #: Of the frames that are made now: what their headers have, and when (monotonic seconds).
        self._offset, self._now = 0, 0.0
        self._meta = {
            kernel.layout.constants[f"NETIO_META_{kind}"]: (kernel.layout.structs[name], take)
            for kind, name, take in (
                ("CONN", "meta_conn", connections.announced),
                ("UNIX", "meta_unix", connections.announced),
                ("COMM", "meta_comm", self._renamed),
                ("CHOSEN", "meta_chosen", chosen),
                ("CGROUP", "meta_cgroup", made),
            )
        }
        self._exit_kind = kernel.layout.constants["NETIO_META_EXIT"]
        self._meta_exit = kernel.layout.structs["meta_exit"]
        self._deferred_exits: list[tuple[int, int]] = []
        #: Events of processes that may be about to be told of.
        self._strays: Batch | None = None
        #: Events published since the broker started, and by the last drain().
        self.events = self.last = 0

    def drain(self) -> bool:
        """Publish what the rings hold; True if there may be more.

        An exit that is read before the events belongs after them; one that is read after
        them waits for the next round, since more events may have come before it.
        """
        exits = self._take_meta()
        batch = self._kernel.events.drain(_BATCH)
        later = self._take_meta()
        self.last = len(batch)
        if self._kernel.events.was_full:
            self._look_for_losses()
        if self._strays is not None:
            batch, self._strays = np.concatenate((self._strays, batch)), None
        if len(batch):
            self.events += self.last
            parts = self._split(batch)
            # In this order: whoever comes after us knows what we took.
            self._ledger.take(
                ((h.pid, h.start, h.published, len(records)) for h, records in parts),
                self._kernel.events.next,
            )
            self._kernel.events.release()
            # As a rule none: then nobody needs to look closer.
            strange = bool(self._connections.described.lacks(batch[:, _CONN]).any())
            self._flags = frames.FAILURES if batch[:, _REST].max() > _NO_ERROR else 0
            self._look_at_clocks()
            for holding, records in parts:
                self._publish(holding, records, strange)
            self._streams.flush()
        if self.last == _BATCH:
            self._deferred_exits = exits + later
            return True
        for pid, start in exits:
            self._exit(pid, start)
        self._deferred_exits = later
        return bool(later) or self._strays is not None

    def _split(self, batch: Batch) -> list[tuple[Holding, Batch]]:
        """The events of each process that is held."""
        batch, cuts = _by_process(batch)
        pids = batch[cuts[:-1], _TGID].tolist()
        parts, strays = [], []
        for pid, begin, end in zip(pids, cuts, cuts[1:]):
            holding = self._holdings.living.get(pid)
            if holding is not None:
                parts.append((holding, batch[begin:end]))
            elif len(self._kernel.meta):
                # The word of its being chosen is there, behind one that is being written.
                strays.append(batch[begin:end])
        self._strays = np.concatenate(strays) if strays else None
        return parts

    def tick(self) -> None:
        """Once a second: find exits that were missed; tell quiet viewers that all is well."""
        missed = list(self._holdings.missed_exits())
        if missed:
            # Their last events come first, as with those that were heard of.
            while self.drain():
                pass
        for pid, start in missed:
            self._exit(pid, start)
        self._look_for_losses()
        self._look_at_clocks()
        for holding in self._holdings.living.values():
            if holding.streamed and self._now - holding.last_frame >= _QUIET:
                self._frame(holding, b"", 0)
        self._streams.flush()

    def send_empty(self, holding: Holding) -> None:
        """A frame without events: answers `sync`, and tells the losses so far.

        From there on every connection that is used is described once more.
        """
        self._look_at_clocks()
        self._frame(holding, b"", 0)
        self._streams.flush()
        self._connections.introduce(holding.pid, holding.start)

    def _take_meta(self) -> list[tuple[int, int]]:
        exits, self._deferred_exits = self._deferred_exits, []
        for raw in self._kernel.meta.records():
            kind = int.from_bytes(raw[:4], "little")
            if kind == self._exit_kind:
                record = self._meta_exit.unpack(raw)
                exits.append((record["tgid"], self._kernel.proc.unpack(record["proc"])["start"]))
            elif kind in self._meta:
                layout, take = self._meta[kind]
                take(layout.unpack(raw))
            else:
                _LOG.warning("a record of unknown kind %d in the meta ring", kind)
        return exits

    def _exit(self, pid: int, start: int) -> None:
        holding = self._holdings.process_exited(pid, start)
        if holding is not None:
            self._holdings.refresh_lost(holding)
            self.send_empty(holding)
            self._exited(holding)

    def _renamed(self, record: dict[str, Any]) -> None:
        holding = self._holdings.living.get(record["tgid"])
        if holding is not None:
            holding.comm = record["comm"].split(b"\0", 1)[0].decode("utf-8", "replace")
            self._holdings.guard.renamed(holding)

    def _look_for_losses(self) -> None:
        lost = self._kernel.stat("EVENTS_LOST")
        if lost != self._lost_seen:
            self._lost_seen = lost
            for holding in self._holdings.living.values():
                if holding.streamed:
                    self._holdings.refresh_lost(holding)

    def _look_at_clocks(self) -> None:
        self._offset, self._now = self._wall.offset(), time.monotonic()

    def _publish(self, holding: Holding, records: Batch, strange: bool) -> None:
        """Send events of one process; `strange`: connections may have to be described."""
        if holding.guarded:
            # Whoever is its owner no longer gets nothing of what was read by now.
            self._holdings.guard.unchanged(holding)
        if not holding.streamed:
            holding.published += len(records)
            return
        if strange:
            self._introducing(holding, records)
            return
        for at in range(0, len(records), _FRAME_EVENTS):
            part = records[at : at + _FRAME_EVENTS]
            self._frame(holding, part.data.cast("B"), len(part))

    def _introducing(self, holding: Holding, records: Batch) -> None:
        """Send events, and describe the connections that no frame has described yet."""
        at, step = 0, _FRAME_EVENTS
        while at < len(records):
            part = records[at : at + step]
            new = self._new(part[:, _CONN])
            size = len(part) * self._kernel.event.size + sum(map(len, new.values()))
            if size > _FRAME_ROOM and step > 1:
                # Many connections with long names: fewer events then.
                step = step * 3 // 4
                continue
            self._frame(holding, part.data.cast("B"), len(part), new.values())
            if new:
                self._connections.described.add(list(new))
            at += len(part)

    def _new(self, numbers: Batch) -> dict[int, bytes]:
        """The entries of those of these connections that no frame has described yet."""
        lacks = self._connections.described.lacks(numbers)
        if not lacks.any():
            return {}
        new = numbers[lacks]
        entries = ((number, self._connections.entry(number)) for number in _distinct(new))
        return {number: entry for number, entry in entries if entry}

    def _frame(
        self,
        holding: Holding,
        events: bytes | memoryview,
        count: int,
        entries: Collection[bytes] = (),
    ) -> None:
        header = frames.pack_header(
            PROTOCOL_VERSION,
            self._flags if count else 0,
            self._kernel.layout.fingerprint,
            self._epoch,
            holding.published,
            count,
            len(entries),
            holding.start,
            holding.pid,
            self.replaced,
            holding.lost,
            self._offset,
            holding.comm.encode("utf-8", "replace")[:16],
        )
        holding.published += count
        holding.last_frame = self._now
        self._streams.send(holding, (holding.topic + header, events, *entries), count)


def _distinct(numbers: Batch) -> list[int]:
    """Each number once. Few is the rule, and then picking them out is faster than sorting."""
    found: list[int] = []
    while len(numbers):
        if len(found) == _FEW:
            found += [int(n) for n in np.unique(numbers)]
            return found
        found.append(int(numbers[0]))
        numbers = numbers[numbers != numbers[0]]
    return found


def _by_process(batch: Batch) -> tuple[Batch, list[int]]:
    """A batch sorted by process, order within a process kept, and where each process begins, with
    the end of the last."""
    tgids = batch[:, _TGID]
    changes = np.flatnonzero(tgids[1:] != tgids[:-1])
    if len(changes):
        batch = batch.take(tgids.argsort(kind="stable"), axis=0)
        tgids = batch[:, _TGID]
        changes = np.flatnonzero(tgids[1:] != tgids[:-1])
    return batch, [0, *(changes + 1).tolist(), len(batch)]
