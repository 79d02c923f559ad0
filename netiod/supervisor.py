"""The supervisor: root, small, reads nothing that a client wrote.

It holds every descriptor of what is loaded into the kernel, so that programs stay attached and
counters go on whatever happens to the others; it starts them, replaces them, and ends them.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from netioctl import __version__
from netiod import channel, children, confine, handover, ledger, logs, privileges
from netiod.demand import Attacher
from netiod.fdstore import FdStore, Inherited
from netiod.gates import Gates
from netiod.keeper import BrokerRun, Keeper
from netiod.loading import LoaderRun, Loading
from netiod.settings import Settings
from netiod.sockets import RunDirectory, control_path
from netiod.systemd import Notifier

_LOG = logging.getLogger("netiod.supervisor")
#: Seconds between SIGTERM and SIGKILL to the children.
GRACE = 2.0
_NOTHING = Inherited({}, None)


class Programs(NamedTuple):
    """What the children run: each is called in the child as root, imports, and gives it."""

    loader: Callable[[], LoaderRun]
    broker: Callable[[], BrokerRun]


def netio_programs() -> Programs:
    """The real ones."""
    return Programs(_import_loader, _import_broker)


class Supervisor:
    """The daemon: run() is all there is to call, once."""

    def __init__(
        self,
        settings: Settings,
        programs: Programs,
        notifier: Notifier,
        inherited: Inherited = _NOTHING,
    ) -> None:
        """`inherited`: descriptors that systemd has for this service (fdstore)."""
        self._settings, self._programs, self._notifier = settings, programs, notifier
        self._store, self._inherited = FdStore(notifier), inherited
        self._selector = selectors.DefaultSelector()
        self._signals = children.Signals()
        self._loading = Loading(settings, programs.loader, self._selector, self._take)
        self._loaded: handover.Loaded | None = None
        self._attacher: Attacher | None = None
        self._broker_channel: channel.Channel | None = None
        self._next_alive = 0.0
        self._was_ready = self._stopping = False
        #: Of the processes without privileges.
        self._uid = 0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; leaves nothing behind, however it ends.

        Raises:
            AlreadyRunning: another daemon serves the run directory.
            ConfigError: there is no such user, or the run directory cannot be one.
            NetioError: nothing could be loaded, or the broker keeps dying.
        """
        settings = self._settings
        account = privileges.find_account(settings.user)
        self._uid = account.uid
        group = privileges.find_group(settings.group)
        with ExitStack() as stack:
            # First, so that no signal ends us with something left behind.
            stack.enter_context(self._signals)
            proc = confine.as_starting_supervisor()
            if proc is not None:
                stack.callback(os.close, proc)
            directory = stack.enter_context(RunDirectory(settings.run_dir, self._inherited.control))
            control = stack.enter_context(directory.control_listener())
            stack.enter_context(self._selector)
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
            self._keeper = Keeper(
                settings,
                self._programs.broker,
                account,
                control,
                proc,
                self._connected,
                self._heard,
            )
            self._gates = Gates(directory, account, group, self._keeper.tell)
            _LOG.info("netiod %s starts on %s", __version__, settings.run_dir)
            children.prepare()
            try:
                kept = self._store.restore(self._inherited.stored, settings)
                if kept is None:
                    if directory.was_in_use:
                        _LOG.warning(
                            "the netiod before this one was killed: what it counted is gone, and "
                            "what was added must be added again"
                        )
                    self._loading.start()
                self._keeper.start()
                if kept is not None:
                    _LOG.info("going on with the programs and totals of the netiod before")
                    self._take(kept)
                while not self._stopping:
                    self._turn()
            finally:
                self._stop()
        _LOG.info("netiod %s stopped", __version__)

    def _turn(self) -> None:
        now = time.monotonic()
        deadlines = [self._keeper.deadline(), self._gates.deadline(), self._loading.deadline()]
        if self._notifier.interval is not None:
            deadlines.append(self._next_alive)
        soonest = min((d for d in deadlines if d is not None), default=None)
        for key, _ in self._selector.select(None if soonest is None else max(soonest - now, 0.0)):
            key.data()
        # After what was sent has been read: after a suspend, all deadlines have passed.
        now = time.monotonic()
        self._keeper.tick(now)
        self._gates.tick(now)
        if self._notifier.interval is not None and now >= self._next_alive:
            self._notifier.alive()
            self._next_alive = now + self._notifier.interval
        self._loading.tick(now)

    def _on_signals(self) -> None:
        numbers = self._signals.read()
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stopping = True
        if signal.SIGCHLD in numbers:
            self._loading.reap()
            self._keeper.reap()
            self._gates.reap()

    def _take(self, loaded: handover.Loaded) -> None:
        """What was loaded is there: ours to hold, the broker's to use."""
        self._loaded = loaded
        if handover.LEDGER not in loaded.fds:
            loaded.fds[handover.LEDGER] = ledger.create(self._settings.max_pids)
        self._attacher = Attacher(loaded, self._store.add, self._store.remove)
        self._store.keep(loaded, self._settings)
        confine.as_supervisor(
            self._settings.run_dir,
            hooks=bool(loaded.info.get("on_demand")),
            broker=loaded.info.get("broker_capabilities", ()),
        )
        self._keeper.hand_over(loaded)

    # --- broker -------------------------------------------------------------------------------

    def _connected(self, broker: channel.Channel | None) -> None:
        if self._broker_channel is not None:
            self._selector.unregister(self._broker_channel)
            self._gates.close_all()
        self._broker_channel = broker
        if broker is not None:
            self._selector.register(broker, selectors.EVENT_READ, self._keeper.hear)

    def _heard(self, op: int, uid: int) -> None:
        if op == channel.OPEN_GATE:
            self._gates.open(uid)
        elif op == channel.CLOSE_GATE:
            self._gates.close(uid)
        elif op == channel.NEED_HOOKS and self._attacher is not None:
            self._keeper.tell(channel.HOOKS, int(self._attacher.set(bool(uid))), 0, None)
        elif op == channel.READY:
            self._ready()

    def _ready(self) -> None:
        if self._was_ready:
            _LOG.info("the broker is ready again")
            return
        self._was_ready = True
        info = self._loaded.info if self._loaded else {}
        backend = info.get("backend", {}).get("name", "unknown")
        path = control_path(self._settings.run_dir)
        self._notifier.ready(f"back-end {backend}")
        _LOG.info("netiod %s ready: backend %s, %s", __version__, backend, path)

    # --- end ----------------------------------------------------------------------------------

    def _stop(self) -> None:
        """End the children in order, then let go of what is loaded: programs are detached."""
        self._notifier.stopping()
        self._loading.close()
        left = {
            p for p in (self._loading.pid, self._keeper.pid, *self._gates.pids()) if p is not None
        }
        for pid in left:
            children.kill(pid, signal.SIGTERM, self._uid)
        until = time.monotonic() + GRACE
        while left and time.monotonic() < until:
            with selectors.DefaultSelector() as selector:
                selector.register(self._signals, selectors.EVENT_READ)
                selector.select(max(until - time.monotonic(), 0.0))
            self._signals.read()
            left = {pid for pid in left if children.reap(pid) is None}
        for pid in left:
            _LOG.warning("process %d does not end by itself: it is killed", pid)
            children.kill(pid, signal.SIGKILL, self._uid)
            os.waitpid(pid, 0)
        if self._loaded is not None:
            self._loaded.close()


def _import_loader() -> LoaderRun:
    from netiod import loader

    return loader.run


def _import_broker() -> BrokerRun:
    from netioctl.wire import layout
    from netiod import numerics

    numerics.load()
    from netiod import broker

    # Read while root, as what is imported: it stays in a cache.
    layout.load()
    # Likewise: the broker makes no sockets, and does not see the journal's.
    logs.connect()
    return broker.run
