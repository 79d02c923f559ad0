"""`netioctl top` for scripts: the same samples, printed."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from netioctl.outage import PATIENCE
from netioctl.output import Output, StdoutClosed, say
from netioctl.render import json, losses
from netioctl.render.glyphs import Glyphs, utf8
from netioctl.render.words import lapse
from netioctl.signals import Stop
from netioctl.stream import Lost
from netioctl.top import plain
from netioctl.top.sample import Sample
from netioctl.watching import Escaped, Gone, Interrupted, Waiting

if TYPE_CHECKING:
    from netioctl.recording.stepped import Stepped
    from netioctl.session import Session
    from netioctl.top.follow import Follow
    from netioctl.top.recorded import Recorded
    from netioctl.top.sampler import Sampler
    from netioctl.top.state import State


class Wish(NamedTuple):
    """JSON or a table, and after how many samples it ends; None: never."""

    as_json: bool
    most: int | None


def run(
    session: Session | Stepped,
    sampler: Sampler | Recorded,
    follow: Follow,
    state: State,
    wish: Wish,
    output: Output,
) -> None:
    """Print samples until there were enough, all processes have exited, or a signal comes.

    Raises:
        StdoutClosed: nobody reads any more.
        NetioError: the daemon has gone for good.
    """
    printer, pipe, ended = _Printer(follow, state, wish, output), output.pipe(), 0.0
    if pipe is not None:
        session.register(pipe, 0)  # poll() always tells of errors
    with Stop() as stop:
        for descriptor in (stop.descriptor, sampler.fileno()):
            session.register(descriptor, select.POLLIN)
        while not stop.asked:
            if state.connections:
                sampler.want(frozenset(session.living) | follow.model.pids())
            printer.tell(session.read())
            if session.ended and follow.model.closed and not ended:
                ended = session.clock()
            for sample in sampler.take():
                follow.samples([sample])
                printer.silent()
                if isinstance(sample, Sample) and sample.held is not None:
                    printer.show(sample)
                    # What was counted last is in what was read after the last exit.
                    if printer.full or (ended and sample.time > ended):
                        return
            if session.ended and session.verb == "replaying":
                return
            if pipe in session.wait(None):
                raise StdoutClosed


class _Printer:
    def __init__(self, follow: Follow, state: State, wish: Wish, output: Output) -> None:
        self._follow, self._state, self._wish, self._output = follow, state, wish, output
        self._glyphs = Glyphs(utf8=utf8())
        self._printed = 0
        self._silent = False

    @property
    def full(self) -> bool:
        """Whether as many samples were printed as were asked for."""
        return self._printed == self._wish.most

    def show(self, sample: Sample) -> None:
        """Print a sample, unless it is the first: there are no rates yet."""
        model = self._follow.model
        if not model.rated:
            return
        if self._wish.as_json:
            self._output.write(plain.objects(model, self._state, sample.wall))
        else:
            begin = "\n" if self._printed else ""
            table = plain.table(model, self._state, self._output.width(), self._glyphs)
            self._output.write(begin + table)
        self._printed += 1

    def silent(self) -> None:
        """Say that there is nothing to print, and why.

        Raises:
            NetioError: there has been nothing for too long.
        """
        silent = self._follow.silent
        if silent is not None and not self._silent:
            say(f"netioctl: {str(silent[1]).splitlines()[0]}")
        self._silent = silent is not None
        if silent is not None and time.monotonic() - silent[0] > PATIENCE:
            raise silent[1]

    def tell(self, items: Sequence[Any]) -> None:
        """Take in what a session has read, and say what is missing in the numbers."""
        self._follow.items(items)
        for item in items:
            if isinstance(item, Waiting):
                say(
                    f"netiod has ended the connection: waiting for the next, up to {PATIENCE:.0f} s"
                )
            elif isinstance(item, Gone) and item.reason is not None:
                who = f"{item.process.pid} ({item.process.comm})"
                say(f"netioctl: {who} is watched no longer: {item.reason}")
            elif isinstance(item, Escaped):
                known = {"type": "missed", "operations": item.operations}
                self._mention(known, losses.missed(item.operations))
            elif isinstance(item, Lost):
                # In a recording, whose sums are made of events.
                known = {"type": "lost", "events": item.events, "stage": item.stage}
                self._mention(known, losses.lost(item))
            elif isinstance(item, Interrupted):
                away = round(item.seconds, 3)
                known = {"type": "interrupted", "seconds": away, "events": None}
                self._mention(known, f"-- netiod was away for {lapse(item.seconds)} --\n")
            elif isinstance(item, Gone) and self._wish.as_json:
                self._output.write(json.exited(item.process.pid))

    def _mention(self, known: dict[str, Any], text: str) -> None:
        self._output.write(json.line(known) if self._wish.as_json else text)
