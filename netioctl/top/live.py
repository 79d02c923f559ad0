"""`netioctl top` on a terminal: samples, keys and the screen, until someone quits."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING

from netioctl.fullscreen import Fullscreen
from netioctl.render.glyphs import Glyphs, utf8
from netioctl.signals import Stop
from netioctl.top import view
from netioctl.top.follow import Follow
from netioctl.top.sample import Sample
from netioctl.top.sampler import Sampler
from netioctl.top.state import State

if TYPE_CHECKING:
    from netioctl.recording.stepped import Stepped
    from netioctl.session import Session
    from netioctl.top.recorded import Recorded

#: Seconds between two looks at what else may have changed, as lines that have stood long enough.
_EVER = 5.0
_INSTEAD = "--once or --json print on any"


def run(
    session: Session | Stepped,
    sampler: Sampler | Recorded,
    follow: Follow,
    state: State,
    interval: float,
) -> None:
    """Show what `follow` takes in until a key or a signal ends it.

    Raises:
        NetioError: the daemon has gone for good, or this terminal cannot show a screen.
    """
    with Stop() as stop, Fullscreen(_INSTEAD) as screen:
        for descriptor in (0, stop.descriptor, sampler.fileno()):
            session.register(descriptor, select.POLLIN)
        live = _Live(screen, follow, state, interval)
        while not (stop.asked or state.quit):
            with contextlib.suppress(BlockingIOError):
                os.read(stop.descriptor, 4096)
            changed = follow.items(session.read())
            taken = sampler.take()
            if state.paused:
                # What had not been asked for yet may still be looked at.
                taken = [each for each in taken if isinstance(each, Sample) and each.held is None]
            changed |= follow.samples(taken)
            changed |= live.keys()
            if changed or time.monotonic() > live.drawn + _EVER:
                sampler.want(_wanted(follow, state))
                live.draw()
            session.wait(_EVER)


def _wanted(follow: Follow, state: State) -> frozenset[int]:
    if not state.connections:
        return frozenset()
    return follow.model.pids() if state.only is None else frozenset((state.only.pid,))


class _Live:
    def __init__(self, screen: Fullscreen, follow: Follow, state: State, interval: float) -> None:
        self._screen, self._follow, self._state = screen, follow, state
        self._interval = interval
        self._glyphs = Glyphs(utf8=utf8())
        self.drawn = 0.0

    def keys(self) -> bool:
        """Do what keys ask for; whether there were any."""
        try:
            pressed = self._screen.keys()
        except EOFError:
            self._state.quit = True
            return False
        page = view.page(self._screen.size[1], len(self._follow.notes.lines(self._follow.clock())))
        for key in pressed:
            self._state.press(key, self._follow.model, page)
        return bool(pressed)

    def draw(self) -> None:
        """Show all anew."""
        self.drawn = time.monotonic()
        notes = self._follow.notes.lines(self._follow.clock())
        clock = time.strftime("%H:%M:%S", time.localtime(self._follow.wall()))
        frame = view.Frame(clock, self._interval, notes)
        model, state = self._follow.model, self._state
        self._screen.draw(view.draw(model, state, frame, self._screen.size, self._glyphs))
