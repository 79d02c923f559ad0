"""The supervisor's side of the broker: starts it, listens to it, and replaces it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Optional

from netioctl.wire.errors import NetioError, ProtocolError
from netiod import channel, children, confine, descriptors, handover
from netiod.privileges import Account
from netiod.settings import Settings

_LOG = logging.getLogger("netiod.keeper")
#: So many deaths within so many seconds are too many.
MAX_DEATHS, DEATHS_WITHIN = 5, 10.0

#: settings, listening control socket, channel: the exit status.
BrokerRun = Callable[[Settings, socket.socket, socket.socket], int]
#: Told each op and uid that the broker sent.
Heard = Callable[[int, int], None]
#: Told that the channel is another; None: there is none.
Connected = Callable[[Optional[channel.Channel]], None]


class Keeper:
    """Keeps a broker running.

    Args:
        program: called in the child as root, imports; gives what to run without privileges.
        proc: what the broker is to see as /proc, a descriptor; None: the host's.
        connected: told of each new channel, so that it can be waited for.
        heard: told what the broker says; OPEN_GATE and CLOSE_GATE for the gates, READY.
    """

    def __init__(
        self,
        settings: Settings,
        program: Callable[[], BrokerRun],
        account: Account,
        control: socket.socket,
        proc: int | None,
        connected: Connected,
        heard: Heard,
    ) -> None:
        self._settings, self._program, self._account = settings, program, account
        self._control, self._proc = control, proc
        self._connected, self._heard = connected, heard
        self._loaded: handover.Loaded | None = None
        self._channel: channel.Channel | None = None
        self._backoff = children.Backoff(0.0)
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._started = self._last_heard = 0.0
        self._due: float | None = None
        #: None while there is no broker.
        self.pid: int | None = None

    def start(self) -> None:
        """Fork a broker, and hand over what is loaded if it is.

        Raises:
            NetioError: there can be no other process now.
        """
        self._due = None
        self._started = time.monotonic()
        ours, theirs = descriptors.pair()
        with theirs:
            try:
                self.pid = self._fork(theirs)
            except OSError as error:
                ours.close()
                raise NetioError(f"cannot start the broker: {error.strerror}") from error
        ours.setblocking(False)
        self._channel = channel.Channel(ours, channel.FROM_BROKER)
        self._connected(self._channel)
        if self._loaded is not None:
            self.hand_over(self._loaded)

    def hand_over(self, loaded: handover.Loaded) -> None:
        """What the loader loaded goes to this broker, and to each after it."""
        self._loaded = loaded
        self._last_heard = time.monotonic()
        if self._channel is not None:
            # Where it has just died, the next one gets it.
            with contextlib.suppress(OSError):
                self._channel.hand_over(handover.for_broker(loaded))

    def tell(self, op: int, uid: int, pid: int, sock: socket.socket | None) -> None:
        """Send the broker a message, if there is one."""
        if self._channel is None:
            return
        try:
            self._channel.send(op, uid, pid, sock)
        except BlockingIOError:
            self._replace("reads nothing")
        except OSError:
            _LOG.debug("the broker is gone while it is sent op %d", op)

    def hear(self) -> None:
        """Read what the broker has sent."""
        # Bounded: a broker that never stops talking must not keep the others waiting.
        for _ in range(64):
            if self._channel is None:
                return
            try:
                message = self._channel.receive()
            except BlockingIOError:
                return
            except (ProtocolError, OSError) as error:
                self._replace(f"sent something else than a message: {error}")
                return
            if message is None:
                self._disconnect()
                return
            if self._loaded is None:
                self._replace("spoke before it was asked")
                return
            self._last_heard = time.monotonic()
            if message.op != channel.ALIVE:
                self._heard(message.op, message.uid)

    def reap(self) -> None:
        """Look whether the broker has ended, after SIGCHLD.

        Raises:
            NetioError: it did so too often.
        """
        how = None if self.pid is None else children.reap(self.pid)
        if how is None:
            return
        self.pid = None
        self._disconnect()
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < DEATHS_WITHIN:
            raise NetioError(
                f"the broker {how}, the {MAX_DEATHS}th time in {DEATHS_WITHIN:.0f} seconds: "
                "netiod gives up; its log says why, with -v in full"
            )
        delay = self._backoff.after(now - self._started)
        self._due = now + delay
        _LOG.warning("the broker %s; the next one comes in %.1f s", how, delay)

    def tick(self, now: float) -> None:
        """Start the next broker if it is due; kill one that is silent.

        Raises:
            NetioError: there can be no other process now.
        """
        if self._due is not None and self._due <= now:
            self.start()
        silent_at = self._silent_at()
        if silent_at is not None and silent_at <= now:
            self._replace(f"was silent for {channel.SILENCE:.0f} s")

    def deadline(self) -> float | None:
        """When tick() will have something to do (monotonic seconds)."""
        times = [t for t in (self._due, self._silent_at()) if t is not None]
        return min(times, default=None)

    def _silent_at(self) -> float | None:
        """A broker without handover has nothing to say, one without channel is being killed."""
        if self._channel is None or self._loaded is None:
            return None
        return self._last_heard + channel.SILENCE

    def _replace(self, why: str) -> None:
        _LOG.warning("the broker %s: it is replaced", why)
        self._disconnect()

    def _disconnect(self) -> None:
        """No channel, no broker: its death brings the next."""
        if self._channel is not None:
            self._connected(None)
            self._channel.close()
            self._channel = None
        if self.pid is not None:
            children.kill(self.pid, signal.SIGKILL, self._account.uid)

    def _fork(self, theirs: socket.socket) -> int:
        parent = os.getpid()

        def body() -> int:
            # One thread is enough for what it computes; read when numpy is imported.
            os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
            # Imported while root: later, the files are out of reach.
            run = self._program()
            keep = handover.peek_info(theirs).get("broker_capabilities", ())
            confine.as_broker(self._account, keep, parent, self._proc)
            return run(self._settings, self._control, theirs)

        fds = [self._control.fileno(), theirs.fileno()]
        fds += [] if self._proc is None else [self._proc]
        return children.fork("netiod-broker", body, fds)
