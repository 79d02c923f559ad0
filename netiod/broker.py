"""The broker: the process, without privileges, that everyone talks to and that reads the ring."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import select
import selectors
import signal
import socket
import time
from typing import Any

from netioctl.wire.errors import Code, RequestError
from netiod import channel as channel_
from netiod import condition, confine, objects, privileges, processes, sockets, verbs
from netiod.audit import Audit
from netiod.connections import Connections
from netiod.control import Connection
from netiod.demand import Demand
from netiod.handover import LEDGER, Loaded
from netiod.holding import Holding, Viewer
from netiod.holdings import Holdings
from netiod.kernel import Kernel
from netiod.ledger import Ledger
from netiod.missed import Missed
from netiod.publisher import Publisher
from netiod.selection import Origin, Selection
from netiod.server import Server
from netiod.settings import Settings
from netiod.streams import Streams, gate_of

_LOG = logging.getLogger("netiod.broker")
#: Seconds between two drains of the ring, so that batches form: waking costs more than draining.
#: Longer while much comes, when wake-ups, of the viewers too, cost more than all else; the ring
#: holds 0.4 s of the fastest traffic seen.
_HOLD, _HOLD_BUSY = 0.005, 0.025
#: Events in a batch that make it a busy time: in the first case 12,800 a second, to go on 2,560.
_BUSY = 64
#: A batch that takes so much of the ring must not become larger.
_LARGE_SHARE = 0.1
_TICK = 1.0
_CAPABILITIES = {21: "CAP_SYS_ADMIN", 39: "CAP_BPF"}


class Broker:
    """Owns the filter, the policy's application, and the stream."""

    def __init__(
        self,
        settings: Settings,
        loaded: Loaded,
        listener: socket.socket,
        supervisor: channel_.Channel,
        stack: contextlib.ExitStack,
    ) -> None:
        self.settings, self.info = settings, loaded.info
        self.started = time.time()
        self.supervisor_pid = os.getppid()
        self._supervisor = supervisor
        self.kernel = Kernel(loaded.fds, loaded.info)
        self.connections = Connections(self.kernel, settings.max_connections, self._owner)
        self.audit = Audit()
        stack.callback(self.audit.close)
        ledger = Ledger(loaded.fds.get(LEDGER), settings.max_pids)
        self.holdings = Holdings(
            self.kernel, self.connections, settings.max_pids, ledger, self.audit, self._revoked
        )
        self.hidden = processes.others_are_hidden()
        if self.hidden:
            _LOG.warning("%s", condition.HIDDEN)
        self.gates = Streams(
            lambda uid: f"ipc://{sockets.gate_path(settings.run_dir, uid)}",
            supervisor.open_gate,
            supervisor.close_gate,
        )
        self.selection = Selection(self.kernel, self.holdings, self.audit, self._began)
        #: Tells viewers one run of the broker from another.
        self.epoch = time.time_ns()
        self.publisher = Publisher(
            self.kernel,
            self.holdings,
            self.connections,
            ledger,
            self.epoch,
            self.gates,
            self._exited,
            self.selection.chosen,
            self.selection.cgroup_made,
        )
        # Another epoch than the last broker's: the kernel announces every connection anew.
        self.kernel.configure("EPOCH", self.epoch // 1_000_000 & 0xFFFFFFFF or 1)
        self.kernel.configure("NETLINK", int(settings.netlink))
        self.holdings.recover()
        self.selection.recover()
        for role, pid in self.daemon_processes():
            self.selection.pass_over(role, pid)
        self._calm = stack.enter_context(selectors.DefaultSelector())
        self._stack = stack
        self._server = Server(
            listener, self._calm, _group(settings.group), self._handle, self._gone, self.audit
        )
        stack.callback(self._server.close)
        stack.callback(self.gates.close)
        self._calm.register(supervisor, selectors.EVENT_READ, self._from_supervisor)
        self._stopping = False
        self._missed = Missed(
            self.kernel.programs, loaded.info["counting"], loaded.fds.get("file:kprobe_profile")
        )
        self._missed_told = self.missed()
        self.demand = Demand(loaded.info["on_demand"], supervisor.need_hooks)
        self._meta_lost = self.kernel.stat("META_LOST")
        self.need_hooks()

    def run(self) -> int:
        """Serve until told to stop; the exit status."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        wake, wake_writer = map(self._stack.enter_context, socket.socketpair())
        wake.setblocking(False)
        wake_writer.setblocking(False)
        signal.set_wakeup_fd(wake_writer.fileno())
        self._calm.register(wake, selectors.EVENT_READ, lambda _events: wake.recv(64))
        # While batches form, only what is calm is waited for; else the rings too.
        everything = self._stack.enter_context(select.epoll())
        for fd in (self._calm.fileno(), self.kernel.events.fd, self.kernel.meta.fd):
            everything.register(fd, select.EPOLLIN)
        self._stack.callback(self._deaf)
        self._supervisor.ready()
        next_drain, next_tick = 0.0, time.monotonic()
        more = False
        while not self._stopping:
            now = time.monotonic()
            if now >= next_tick:
                self._tick()
                next_tick = now + _TICK
            guard = self.holdings.guard
            guard.look(now)
            due = (next_tick, guard.deadline(), self._server.turns.deadline())
            limit = max(0.0, min(d for d in due if d is not None) - now)
            if self.gates.pending:
                limit = 0.0
            if next_drain > now:
                self._serve(min(next_drain - now, limit))
                continue
            ready = everything.poll(0 if more else limit)
            if more or any(fd != self._calm.fileno() for fd, _ in ready):
                more = self.publisher.drain()
                next_drain = 0.0 if more else time.monotonic() + self._hold()
            self._serve(0)
        self._tell_ending()
        return 0

    def _owner(self, pid: int, start: int) -> int:
        return self.holdings.owner(pid, start)

    def missed(self) -> int:
        """Operations that the hooks were not run for, at most."""
        return self._missed.operations()

    def tell_missed(self) -> None:
        """Tell everyone who watches when more operations have escaped than they know of."""
        missed = self.missed()
        if missed > self._missed_told:
            self._missed_told = missed
            # Whoever cannot be told any more leaves the set.
            for connection in list(self._server.connections):
                if connection.holdings or self.selection.of(connection):
                    connection.notify("missed", {"operations": missed})

    def _tell_interrupted(self, uid: int, seconds: float) -> None:
        """Tell who reads from the gate of `uid` that it is another one now."""
        self.publisher.replaced += 1
        told = {"seconds": seconds, "replaced": self.publisher.replaced}
        for connection in list(self._server.connections):
            streams = any(h.leases.get(connection) for h in connection.holdings)
            streams |= any(i.stream for i in self.selection.of(connection))
            if streams and gate_of(connection.caller) == uid:
                connection.notify("interrupted", told)

    def _tell_ending(self) -> None:
        """Tell who watches what was counted so far: there may be nobody to ask later."""
        for connection in list(self._server.connections):
            for holding in connection.holdings:
                if holding.exited is None:
                    total = self.holdings.totals(holding)
                    told = {"pid": holding.pid, "start": holding.start, "total": total}
                    connection.notify("ending", told)

    def privileges(self) -> list[str]:
        """What broker and gates have although they should not, and why."""
        kept = [
            f"the broker keeps {_CAPABILITIES[number]}: "
            "this kernel asks for it in every call on a BPF map"
            for number in self.info["broker_capabilities"]
        ]
        return kept + confine.exceptions()

    def daemon_processes(self) -> list[tuple[str, int]]:
        """(role, pid) of all processes of the daemon."""
        own = [("supervisor", self.supervisor_pid), ("broker", os.getpid())]
        return own + self.gates.pids()

    def _hold(self) -> float:
        """How long the next batch may form: never so long that the ring fills meanwhile."""
        share = self.publisher.last * (self.kernel.event.size + 8) / self.kernel.events.size
        return _HOLD_BUSY if self.publisher.last >= _BUSY and share < _LARGE_SHARE else _HOLD

    def _deaf(self) -> None:
        """Before the wake-up socket closes: a second SIGTERM would be written into it."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)

    def _stop(self, _signal: int, _frame: Any) -> None:
        self._stopping = True

    def _serve(self, timeout: float) -> None:
        for key, events in self._calm.select(timeout):
            key.data(events)
        self._server.turns.round()
        self.gates.settle()

    def _tick(self) -> None:
        self._supervisor.alive()
        self.publisher.tick()
        self.tell_missed()
        self.holdings.tick()
        self._server.turns.tick()
        self.audit.tick()
        self.selection.tick()
        self._look_for_missed_choices()
        self.need_hooks()
        watching = itertools.chain(
            *(h.leases for h in self.holdings.living.values()), self.selection.streams()
        )
        self.gates.tick({gate_of(viewer.caller) for viewer in watching})

    def _handle(
        self, connection: Connection, ident: Any, method: str, params: dict[str, Any]
    ) -> Any:
        verb = verbs.METHODS.get(method)
        if verb is None:
            names = ", ".join(verbs.METHODS)
            text = f"no such method: {method[:40]!r}; there are {names}"
            raise RequestError(text, Code.METHOD_NOT_FOUND)
        # What the kernel has counted is on screens before an answer that counts it.
        if method in ("summary", "sync", "remove"):
            while self.publisher.drain():
                pass
        return verb(self, connection, ident, params)

    def _gone(self, connection: Connection) -> None:
        # First, lest what is released is chosen again.
        self.selection.gone(connection)
        for holding in list(connection.holdings):
            self.holdings.release(connection, holding)
        self.selection.show()

    def need_hooks(self) -> None:
        """Have hooks that all processes pay for attached as long as something may be counted."""
        self.demand.need(bool(self.holdings.living) or self.selection.active)

    def _look_for_missed_choices(self) -> None:
        lost = self.kernel.stat("META_LOST")
        if lost != self._meta_lost:
            self._meta_lost = lost
            self.selection.missed()

    def _exited(self, holding: Holding) -> None:
        event = objects.exited(holding)
        # A viewer may end with this: there is no later occasion.
        self.tell_missed()
        for viewer in list(holding.leases):
            if isinstance(viewer, Connection):
                viewer.notify("exited", event)
                viewer.holdings.pop(holding, None)
            self.holdings.release(viewer, holding, "exited")

    def _began(self, viewer: Viewer, holding: Holding, origin: Origin) -> None:
        if isinstance(viewer, Connection):
            # Others may know what it uses already.
            self.connections.introduce(holding.pid, holding.start)
            viewer.notify("began", objects.began(holding, origin))
            if holding.exited is None:
                viewer.holdings[holding] = None
            else:
                viewer.notify("exited", objects.exited(holding))

    def _revoked(self, viewer: Viewer, holding: Holding) -> None:
        if isinstance(viewer, Connection):
            viewer.holdings.pop(holding, None)
            reason = "the process has become another user's"
            event = {"pid": holding.pid, "start": holding.start, "reason": reason}
            viewer.notify("revoked", event)

    def _from_supervisor(self, _events: int) -> None:
        message = self._supervisor.receive()
        if message is None:
            # The supervisor is gone, and with it every program.
            self._stopping = True
        elif message.op == channel_.GATE and message.sock is not None:
            self.selection.pass_over(f"gate-{message.uid}", message.pid)
            away = self.gates.opened(message.uid, message.pid, message.sock)
            if away is not None:
                self._tell_interrupted(message.uid, away)
        elif message.op == channel_.GATE_ENDED:
            if message.pid:
                self.gates.ended(message.uid)
            else:
                self.gates.refused(message.uid)
        elif message.op == channel_.HOOKS:
            self.demand.answered(bool(message.uid))


def run(settings: Settings, control_listener: socket.socket, channel: socket.socket) -> int:
    """The broker's process, privileges already dropped; returns its exit status.

    Waits for the loader's results on `channel`; what it imports meanwhile is imported once.
    """
    supervisor = channel_.Channel(channel)
    loaded = supervisor.receive_handover()
    with contextlib.ExitStack() as stack:
        return Broker(settings, loaded, control_listener, supervisor, stack).run()


def _group(name: str) -> int | None:
    gid = privileges.find_group(name)
    if gid is None:
        _LOG.warning("there is no group %s: only root may watch the processes of others", name)
    return gid
