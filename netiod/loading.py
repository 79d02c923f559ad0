"""The supervisor's side of the loader: its process, what it says, what it hands over, its end."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from collections.abc import Callable

from netioctl.wire.errors import NetioError, ProtocolError
from netiod import children, confine, descriptors, handover
from netiod.settings import Settings
from netiod.words import Words

_LOG = logging.getLogger("netiod.loader")
#: Seconds that the loader may take: slow machines compile for some ten.
LOAD_TIME = 60.0

#: settings, channel, where libraries print to: ends the process.
LoaderRun = Callable[[Settings, socket.socket, Words], object]


class Loading:
    """Runs `program`, once; `take` gets what was loaded."""

    def __init__(
        self,
        settings: Settings,
        program: Callable[[], LoaderRun],
        selector: selectors.BaseSelector,
        take: Callable[[handover.Loaded], None],
    ) -> None:
        self._settings, self._program = settings, program
        self._selector, self._take = selector, take
        self._end: socket.socket | None = None
        self._words: Words | None = None
        self._until = 0.0
        self._done = False
        #: None: there is no such process, or no more.
        self.pid: int | None = None

    def start(self) -> None:
        """Begin.

        Raises:
            NetioError: there can be no process for it.
        """
        ours, theirs = descriptors.pair()
        words = self._words = Words()
        parent = os.getpid()

        def body() -> int:
            confine.as_loader(parent)
            self._program()(self._settings, theirs, words)
            return 1

        with theirs:
            try:
                fds = (theirs.fileno(), words.fileno())
                self.pid = children.fork("netiod-loader", body, fds)
            except OSError as error:
                ours.close()
                raise NetioError(f"cannot start the loader: {error.strerror}") from error
        ours.setblocking(False)
        self._end = ours
        self._until = time.monotonic() + LOAD_TIME
        self._selector.register(ours, selectors.EVENT_READ, self._hear)

    def deadline(self) -> float | None:
        """When it must be done (monotonic seconds)."""
        return None if self._end is None else self._until

    def tick(self, now: float) -> None:
        """Look at the time.

        Raises:
            NetioError: it takes too long.
        """
        until = self.deadline()
        if until is not None and until <= now:
            raise NetioError(f"loading the BPF programs took more than {LOAD_TIME:.0f} s")

    def reap(self) -> None:
        """Look whether it has ended, after SIGCHLD.

        Raises:
            NetioError: it has, and nothing is loaded.
        """
        how = None if self.pid is None else children.reap(self.pid)
        if how is None:
            return
        self.pid = None
        # Its last message may not have been read yet.
        self._hear()
        if not self._done:
            said = self._words.last() if self._words else ""
            more = f": {said}" if said else "; netiod -v says how far it came"
            raise NetioError(f"loading the BPF programs failed: the loader {how}{more}")

    def close(self) -> None:
        """Hear no more of it."""
        if self._end is not None:
            self._unwatch()
            self._end.close()
            self._end = None
        if self._words is not None:
            self._words.close()
            self._words = None

    def _hear(self) -> None:
        while self._end is not None:
            try:
                message = handover.receive(self._end)
            except BlockingIOError:
                return
            except ProtocolError as error:
                raise NetioError(f"loading the BPF programs failed: {error}") from error
            if isinstance(message, handover.Log):
                _LOG.debug("%s", message.text)
            elif isinstance(message, handover.Failure):
                raise message.error
            elif isinstance(message, handover.Loaded):
                self._done = True
                self.close()
                self._take(message)
            else:
                # The end without a result: its death says how.
                self._unwatch()
                return

    def _unwatch(self) -> None:
        if self._end is not None and self._end in self._selector.get_map():
            self._selector.unregister(self._end)
