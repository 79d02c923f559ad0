"""The supervisor's side of the gates: one process for each uid that the broker asks for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from netiod import channel, children, confine
from netiod.privileges import Account
from netiod.sockets import RunDirectory, gate_path

_LOG = logging.getLogger("netiod.gates")
#: Most gates at a time; what a broker that went wrong can cost.
MAX_GATES = 256

#: How the broker is told: channel.Channel.send.
Tell = Callable[[int, int, int, "socket.socket | None"], None]


@dataclass
class _Gate:
    #: None while it waits for `due` (monotonic seconds).
    pid: int | None = None
    due: float = 0.0
    started: float = 0.0
    backoff: children.Backoff = field(default_factory=lambda: children.Backoff(0.1))


class Gates:
    """Starts, restarts and ends gates; `group` is the operators' gid, `tell` reaches the broker."""

    def __init__(
        self, directory: RunDirectory, account: Account, group: int | None, tell: Tell
    ) -> None:
        self._directory, self._account, self._group = directory, account, group
        self._tell = tell
        self._gates: dict[int, _Gate] = {}
        #: Killed, but not reaped yet.
        self._dying: set[int] = set()

    def open(self, uid: int) -> None:
        """The broker wants a gate for `uid`."""
        if uid in self._gates:
            _LOG.debug("%s is there already", _name(uid))
        elif len(self._gates) >= MAX_GATES:
            _LOG.warning("no gate for uid %d: there are %d already", uid, MAX_GATES)
            self._tell(channel.GATE_ENDED, uid, 0, None)
        else:
            self._gates[uid] = _Gate()
            self._start(uid)

    def close(self, uid: int) -> None:
        """The broker wants none for `uid` any more."""
        gate = self._gates.pop(uid, None)
        if gate is None:
            return
        self._directory.remove_gate(uid)
        if gate.pid is not None:
            # It holds nothing that would be lost.
            children.kill(gate.pid, signal.SIGKILL, self._account.uid)
            self._dying.add(gate.pid)
        _LOG.debug("%s is closed", _name(uid))

    def close_all(self) -> None:
        """No gate outlives the broker that it got its frames from."""
        for uid in list(self._gates):
            self.close(uid)

    def reap(self) -> None:
        """Look for gates that have ended, after SIGCHLD."""
        self._dying = {pid for pid in self._dying if children.reap(pid) is None}
        for uid, gate in list(self._gates.items()):
            # Telling the broker may be what shows that it is gone, and closes all of them.
            if gate.pid is None or self._gates.get(uid) is not gate:
                continue
            how = children.reap(gate.pid)
            if how is not None:
                ended, gate.pid = gate.pid, None
                self._directory.remove_gate(uid)
                self._retry(uid, gate, how)
                self._tell(channel.GATE_ENDED, uid, ended, None)

    def tick(self, now: float) -> None:
        """Start what is due."""
        for uid, gate in list(self._gates.items()):
            if gate.pid is None and gate.due <= now and self._gates.get(uid) is gate:
                self._start(uid)

    def deadline(self) -> float | None:
        """When tick() will have something to do (monotonic seconds)."""
        return min((g.due for g in self._gates.values() if g.pid is None), default=None)

    def pids(self) -> list[int]:
        """Every process that has not been reaped."""
        living = [gate.pid for gate in self._gates.values() if gate.pid is not None]
        return living + list(self._dying)

    def _start(self, uid: int) -> None:
        gate = self._gates[uid]
        gate.started = time.monotonic()
        path = gate_path(self._directory.path, uid)
        try:
            listener = self._directory.gate_listener(uid, self._group)
            with listener:
                source, sink = channel.data_pair()
                with source, sink:
                    gate.pid = self._fork(listener, path, sink)
                    _LOG.debug("%s is open: pid %d", _name(uid), gate.pid)
                    self._tell(channel.GATE, uid, gate.pid, source)
        except OSError as error:
            self._directory.remove_gate(uid)
            self._retry(uid, gate, f"cannot be made: {error}")

    def _retry(self, uid: int, gate: _Gate, why: str) -> None:
        now = time.monotonic()
        delay = gate.backoff.after(now - gate.started)
        gate.due = now + delay
        _LOG.warning("%s %s; the next one comes in %.1f s", _name(uid), why, delay)

    def _fork(self, listener: socket.socket, path: str, sink: socket.socket) -> int:
        parent = os.getpid()

        def body() -> int:
            # Imported while root: later, the files are out of reach.
            from netiod import gate

            context = gate.make_context()
            confine.as_gate(self._account, self._directory.path, parent)
            return gate.run(listener, path, sink, context)

        return children.fork("netiod-gate", body, (listener.fileno(), sink.fileno()))


def _name(uid: int) -> str:
    return "the operators' gate" if uid == channel.OPERATORS else f"the gate of uid {uid}"
