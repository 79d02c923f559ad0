"""The lightest viewer there is: receives the stream of one process and only counts.

    python3 -m tests.bench.subscriber RUN_DIR PID

Prints "ready" when the stream has begun. A line on stdin asks for the result, after what is
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

from netioctl.client import Client
from netioctl.stream import Stream
from netioctl.wire import frames, layout

#: Seconds between two requests for a first frame.
_SYNC_EVERY = 0.02
#: Seconds without events after which nothing is on its way any more. The daemon collects for
#: 5 ms; the rest is for machines that have more to do than cores to do it.
_SILENCE = 0.5


class Count:
    """What has come so far."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._size = layout.load().structs["event"].size
        self.frames = self.events = self.missed = 0
        self.last = time.monotonic()
        self.expected: int | None = None
        self._lost = self._lost_before = 0

    @property
    def kernel(self) -> int:
        """Events that found no room in the kernel's ring since the first frame."""
        return self._lost - self._lost_before

    def take(self) -> None:
        """Count all frames that are there."""
        while received := self._stream.frames(64):
            for frame in received:
                self._add(frames.unpack(frame, self._size)[0])

    def _add(self, header: frames.Header) -> None:
        if self.expected is None:
            self._lost_before = header.lost
        else:
            self.missed += max(0, header.first - self.expected)
        if header.events:
            self.last = time.monotonic()
        self._lost = header.lost
        self.frames += 1
        self.events += header.events
        self.expected = header.first + header.events


def main() -> None:
    """See the module."""
    run_dir, pid = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Client(run_dir) as client:
        watched = client.watch([pid])
        if watched.errors:
            sys.exit(watched.errors[0].message)
        stream = Stream(watched.endpoint)
        with contextlib.closing(stream):
            stream.subscribe(watched.processes[0].topic)
            print(json.dumps(_count(client, stream, pid)), flush=True)


def _count(client: Client, stream: Stream, pid: int) -> dict[str, float]:
    count = Count(stream)
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while count.expected is None:
        client.sync([pid])
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
        client.sync([pid])
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
