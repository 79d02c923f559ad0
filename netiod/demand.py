"""Hooks that every process of the host pays for, attached only while something is held.

The supervisor holds their programs and attaches and detaches them (Attacher); the broker knows
when they are needed (Demand). Between the two a message of channel.py says "on" or "off".
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from netiod import attach, descriptors, handover
from netiod.maps import MapError

_LOG = logging.getLogger("netiod.demand")


class Attacher:
    """The supervisor's side. The loader leaves the hooks attached, as a proof that they can be.

    `store` and `forget` are told of links that come and go.
    """

    def __init__(
        self,
        loaded: handover.Loaded,
        store: Callable[[str, int], None],
        forget: Callable[[str], None],
    ) -> None:
        self._loaded = loaded
        self._store, self._forget = store, forget
        self._hooks: list[dict[str, Any]] = loaded.info.get("on_demand", [])

    def set(self, wanted: bool) -> bool:
        """Attach or detach them all; whether all are attached now."""
        fds = self._loaded.fds
        for hook in self._hooks:
            link = handover.LINK + hook["name"]
            if wanted and link not in fds:
                try:
                    fds[link] = attach.reattach(hook, fds["prog:" + hook["name"]])
                except (OSError, MapError) as error:
                    _LOG.warning("hook %s cannot be attached again: %s", hook["name"], error)
                    return False
                self._store(link, fds[link])
            elif not wanted and link in fds:
                self._forget(link)
                descriptors.close([fds.pop(link)])
        return wanted


class Demand:
    """The broker's side: `ask` tells the supervisor what is wanted, which answers by answered()."""

    def __init__(self, hooks: list[Any], ask: Callable[[bool], None]) -> None:
        self._hooks, self._ask = hooks, ask
        self._wanted: bool | None = None
        self._attached = False
        #: Wishes that have not been answered; each is, in order.
        self._asked = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def need(self, wanted: bool) -> None:
        """Something is held, or nothing is."""
        if self._hooks and wanted != self._wanted:
            self._wanted = wanted
            self._attached = False
            self._asked += 1
            self._ask(wanted)
            if not wanted:
                # What somebody waits to see has exited meanwhile.
                self._met()

    def answered(self, attached: bool) -> None:
        """The supervisor has attached the hooks, or could not, or has detached them."""
        self._asked -= 1
        if self._asked or not self._wanted:
            return
        if not attached:
            _LOG.warning("hooks are missing: the supervisor's log says why")
        # Without them, what is answered is what there is.
        self._attached = True
        self._met()

    def when_met(self, act: Callable[[], None]) -> bool:
        """Call `act` when the hooks are attached; False, and it is not called, if they are, or
        are not needed."""
        if not self._hooks or self._attached or not self._wanted:
            return False
        self._waiting.append(act)
        return True

    def _met(self) -> None:
        """Nobody has to wait any longer. An act may come to need hooks again, and to wait."""
        waiting, self._waiting = self._waiting, deque()
        for act in waiting:
            act()
