"""The lightest viewer there is: receives the stream of some processes and only counts.

    python3 -m tests.bench.subscriber RUN_DIR PID...

Prints "ready" when all their streams have begun. A line on stdin asks for the result, after what is
still on its way: one JSON object, `events` received, `missed` (gaps between frames, that is
what was dropped because this viewer was slow), `kernel` (lost in the kernel's ring), `frames`
and the viewer's own CPU seconds.
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import sys
import time
from collections.abc import Iterable

from netioctl.client import Client
from netioctl.stream import Stream
from netioctl.wire import frames, layout

#: Seconds between two requests for a first frame.
_SYNC_EVERY = 0.02
#: Seconds without events after which nothing is on its way any more. The daemon collects for
#: 5 ms; the rest is for machines that have more to do than cores to do it.
_SILENCE = 0.5


class Count:
    """What has come so far. `waiting`: PIDs of which nothing has come."""

    def __init__(self, stream: Stream, pids: Iterable[int]) -> None:
        self._stream = stream
        self.waiting = set(pids)
        self._size = layout.load().structs["event"].size
        self.frames = self.events = self.missed = 0
        self.last = time.monotonic()
        # By PID: the next event's index; the lost ones of the first frame and of the last.
        self._expected: dict[int, int] = {}
        self._lost_before: dict[int, int] = {}
        self._lost: dict[int, int] = {}

    @property
    def kernel(self) -> int:
        """Events that found no room in the kernel's ring since the first frame."""
        return sum(self._lost.values()) - sum(self._lost_before.values())

    def take(self) -> None:
        """Count all frames that are there."""
        while received := self._stream.frames(64):
            for frame in received:
                self._add(frames.unpack(frame, self._size)[0])

    def _add(self, header: frames.Header) -> None:
        pid = header.tgid
        if pid not in self._expected:
            self._lost_before[pid] = header.lost
            self.waiting.discard(pid)
        else:
            self.missed += max(0, header.first - self._expected[pid])
        if header.events:
            self.last = time.monotonic()
        self._lost[pid] = header.lost
        self.frames += 1
        self.events += header.events
        self._expected[pid] = header.first + header.events


def main() -> None:
    """See the module."""
    run_dir, pids = sys.argv[1], [int(word) for word in sys.argv[2:]]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Client(run_dir) as client:
        watched = client.watch(pids)
        if watched.errors:
            sys.exit(watched.errors[0].message)
        stream = Stream(watched.endpoint)
        with contextlib.closing(stream):
            for process in watched.processes:
                stream.subscribe(process.topic)
            print(json.dumps(_count(client, stream, pids)), flush=True)


def _count(client: Client, stream: Stream, pids: list[int]) -> dict[str, float]:
    count = Count(stream, pids)
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while count.waiting:
        client.sync(list(count.waiting))
        poll.poll(_SYNC_EVERY * 1000)
        count.take()
    cpu = time.process_time()
    print("ready", flush=True)
    poll.register(sys.stdin, select.POLLIN)
    # The stream's descriptor is edge-triggered: everything is taken before each wait, and the
    # limit is for the edge that came in between.
    while sys.stdin.fileno() not in {fd for fd, _ in poll.poll(100)}:
        count.take()
    cpu = time.process_time() - cpu
    poll.unregister(sys.stdin)
    # The empty frame that answers says how many events there were: so a gap at the end shows.
    for _ in range(2):
        client.sync(pids)
        begin = time.monotonic()
        while time.monotonic() - max(begin, count.last) < _SILENCE:
            poll.poll(100)
            count.take()
    return {
        "events": count.events,
        "missed": count.missed,
        "kernel": count.kernel,
        "frames": count.frames,
        "cpu": cpu,
    }


if __name__ == "__main__":
    main()
