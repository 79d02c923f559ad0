"""Lets people choose processes on the terminal."""

from __future__ import annotations

import contextlib
import functools
import os
import select
from collections.abc import Iterator

from netioctl.client import Client
from netioctl.fullscreen import Fullscreen
from netioctl.picking import activity, candidates, view
from netioctl.picking.choice import Choice
from netioctl.render.glyphs import Glyphs, utf8
from netioctl.signals import Stop
from netioctl.targets import user
from netioctl.wire.errors import UsageError

_INSTEAD = "name PIDs, $(pgrep NAME) finds them"


def pick(client: Client) -> tuple[int, ...]:
    """PIDs that were chosen on the terminal; empty: none, on purpose.

    Stdout may be a pipe: the terminal is then /dev/tty. Takes activity.SECONDS to begin, while
    processes are attached by `client`.

    Raises:
        UsageError: there is no terminal, or none of the processes has a socket.
        NetioError: as Client has it.
    """
    with _terminal():
        found = candidates.find()
        if not found:
            whose = "process" if os.geteuid() == 0 else "process of yours"
            raise UsageError(f"no {whose} has a socket: there is nothing to choose from")
        by_sockets = candidates.most_active_first(found, {})
        moved = activity.moved(client, [each.pid for each in by_sockets])
        return _choose(Choice(candidates.most_active_first(found, moved)))


def _choose(choice: Choice) -> tuple[int, ...]:
    glyphs, named = Glyphs(utf8=utf8()), functools.cache(user)
    poll = select.poll()
    with Stop() as stop, Fullscreen(_INSTEAD) as screen:
        poll.register(0, select.POLLIN)
        poll.register(stop.descriptor, select.POLLIN)
        while choice.chosen is None and not stop.asked:
            screen.draw(view.draw(choice, activity.SECONDS, named, screen.size, glyphs))
            poll.poll()
            with contextlib.suppress(BlockingIOError):
                os.read(stop.descriptor, 4096)
            try:
                pressed = screen.keys()
            except EOFError:
                break
            for key in pressed:
                if choice.chosen is None:
                    choice.press(key, view.page(screen.size[1]))
    return choice.chosen or ()


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Have the terminal on descriptors 0 and 1, whatever they are, and undo that."""
    if os.isatty(0) and os.isatty(1):
        yield
        return
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise UsageError(f"there is no terminal to choose at: {_INSTEAD}") from None
    kept = [os.dup(descriptor) for descriptor in (0, 1)]
    try:
        for descriptor in (0, 1):
            os.dup2(terminal, descriptor)
        yield
    finally:
        for descriptor, copy in enumerate(kept):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(terminal)
