"""The stream of one watch: where it comes from, what is read of it, and what is still to come."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from netioctl.answers import Process
from netioctl.wire.endpoints import UNKNOWN, Connection
from netioctl.wire.errors import ProtocolError

if TYPE_CHECKING:
    from netioctl.stream import Reader, Stream

#: Frames taken at once: bounds the memory that their text needs, and with it the connections that
#: they may name to less than a Reader remembers.
FRAMES_AT_ONCE = 32
#: What all topics of processes begin with.
ALL_TOPICS = "pid."
#: The process, of no events, of which `sync` sends a frame where there may be no other.
SIGN_OF_LIFE = Process(0, 0, "", 0, 0.0, "pid.0.", None, False)
#: Frames of processes that nobody has told of yet: so many wait, and so many seconds.
MOST_STRANGERS, KEEP_STRANGERS = 256, 1.0


class Feed:
    """Frames by way of `poll`, which is told of the stream's descriptor."""

    def __init__(
        self, poll: select.poll, layout: int, *, grows: bool = False, failed: bool = False
    ) -> None:
        """`layout`: the daemon's fingerprint; `grows`: processes may be added by join(); `failed`:
        operations that failed are wanted, too.

        Raises:
            LayoutError: it is not ours.
        """
        from netioctl.stream import Reader

        self.check(layout)
        self._poll = poll
        self._stream: Stream | None = None
        self.reader: Reader = Reader(failed=failed)
        #: What the frames of this lease have there, or a later `replaced`.
        self._epoch = self._replaced = 0
        #: More frames may be there already.
        self.more = False
        #: Processes come that nobody knows yet; their frames may be here before the word of them.
        self._grows = grows
        if grows:
            self.reader.follow((SIGN_OF_LIFE,))
        self._strangers: deque[tuple[float, bytes]] = deque(maxlen=MOST_STRANGERS)

    @staticmethod
    def check(layout: int) -> None:
        """Whether the events of a daemon with this fingerprint can be read.

        Raises:
            LayoutError: no.
        """
        from netioctl.stream import check_layout

        check_layout(layout)

    def fileno(self) -> int:
        """The descriptor that is readable when frames may have come; -1: there is none yet."""
        return -1 if self._stream is None else self._stream.fileno()

    def close(self) -> None:
        """End it."""
        if self._stream is not None:
            self._stream.close()

    def lease(self, endpoint: str, processes: Iterable[Process], epoch: int, replaced: int) -> None:
        """The daemon sends the frames of these processes to `endpoint`.

        Raises:
            ProtocolError: there is no such place.
        """
        self._epoch, self._replaced = epoch, replaced
        if not endpoint:
            raise ProtocolError("netiod named no stream that can be read")
        if self._stream is not None and self._stream.endpoint == endpoint:
            # It connects anew by itself, and what it has received by now can still be read.
            return
        from netioctl.stream import Stream

        if self._stream is not None:
            self._poll.unregister(self._stream)
            self._stream.close()
        self._stream = Stream(endpoint)
        self._poll.register(self._stream, select.POLLIN)
        if self._grows:
            # All that we may see: what is chosen may end before a subscription would be there.
            self._stream.subscribe(ALL_TOPICS)
            return
        for process in processes:
            self._stream.subscribe(process.topic)

    def join(self, process: Process, published: int, lost: int) -> list[Any]:
        """A process is watched from now on; what has come of it already."""
        if self.silent((0,)):
            # What came before the stream was there is not lost: it was not to be shown yet.
            self.reader.follow((process,))
        else:
            self.reader.join(process, published, lost, self._epoch, self._replaced)
        own, others = [], deque[tuple[float, bytes]](maxlen=MOST_STRANGERS)
        for came, frame in self._strangers:
            if frame.startswith(process.topic.encode()):
                own.append(frame)
            else:
                others.append((came, frame))
        self._strangers = others
        return [item for frame in own for item in self.reader.read(frame)]

    def replaced(self, number: int) -> None:
        """The stream comes by another gate from frames with this number on."""
        self._replaced = self.reader.replaced = max(self._replaced, number)

    def receive(self) -> tuple[list[Any], list[Any] | None]:
        """What has come; second, if there was an interruption, what has come since."""
        before: list[Any] = []
        after: list[Any] | None = None
        frames = [] if self._stream is None else self._stream.frames(FRAMES_AT_ONCE)
        self.more = len(frames) == FRAMES_AT_ONCE
        now = time.monotonic()
        while self._strangers and now - self._strangers[0][0] > KEEP_STRANGERS:
            self._strangers.popleft()
        for frame in frames:
            if self._grows and not self.reader.knows(frame):
                self._strangers.append((now, frame))
                continue
            items = self.reader.read(frame)
            if self.reader.interrupted:
                self.reader.interrupted = False
                after = [] if after is None else after
            (before if after is None else after).extend(items)
        return before, after

    def silent(self, pids: Collection[int]) -> list[int]:
        """Those of which no frame has come yet, or none since the last interruption; 0 stands for
        the stream as such, where processes may be added."""
        pids = (0, *pids) if self._grows else pids
        return [p for p in pids if not self.reader.begun(p, self._epoch, self._replaced)]

    def forget(self, process: Process) -> None:
        """Read its frames no longer."""
        if self._stream is not None and not self._grows:
            self._stream.unsubscribe(process.topic)
        self.reader.forget(process.pid)

    @property
    def stale(self) -> bool:
        """Whether frames come from another run of the broker than gave the lease."""
        return self.reader.epoch != self._epoch

    @property
    def endpoint(self) -> str:
        """Where the frames come from."""
        return "" if self._stream is None else self._stream.endpoint


def connection(feed: Feed | None, ident: int) -> Connection:
    """The connection that an event's id means, or UNKNOWN."""
    return UNKNOWN if feed is None else feed.reader.connection(ident)
