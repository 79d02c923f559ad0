"""A watch's lease: how it is taken, and what is done where the daemon's broker or gate dies."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Sequence

from netioctl.answers import Failure, Process, Totals, Watched
from netioctl.outage import Link, Outage
from netioctl.targets import children
from netioctl.watching import Gone, Interrupted, Item, Waiting, Watching
from netioctl.wire.errors import Code, ConnectionLost


class Leasing(Watching):
    """What Session adds to Watching so that it outlives the daemon."""

    def _lease(self, pids: Sequence[int]) -> Watched:
        """Watch `pids`, and what else was asked for; those who are followed with the children that
        they have already."""
        targets = self._targets
        answer = self._client.watch(
            pids,
            stream=self._want_stream,
            selectors=targets.selectors,
            follow=targets.follow,
            failed=self._want_failed,
        )
        if not (targets.follow and answer.processes):
            return answer
        # From here on new ones are seen; those of before are looked for, theirs included.
        known = {process.pid for process in answer.processes}
        while below := [pid for pid in children(known) if pid not in known]:
            more = self._client.watch(
                below, stream=self._want_stream, follow=True, failed=self._want_failed
            )
            known.update(below)
            # Some may have exited meanwhile, or be another user's.
            answer = answer._replace(
                processes=answer.processes + more.processes,
                endpoint=answer.endpoint or more.endpoint,
            )
        return answer

    def _interrupt(self) -> None:
        """The control connection is lost, and with it the leases."""
        self._outage = self._outage or Outage()
        self._outage.leaseless = True
        if self._outage.link is None:
            self._outage.link = Link(self._client)

    def _repair(self, outage: Outage, items: list[Item]) -> None:
        """Go on with what is to be done until events flow again, as far as that is possible."""
        if outage.link is not None and not self._reconnected(outage.link, items):
            return
        outage.link = None
        try:
            if outage.leaseless:
                self._take_up(outage, items)
            if outage.link is None:
                self._synchronise(items)
                if self._feed is not None and self._name(self._feed):
                    self._turn(items)
        except ConnectionLost:
            self._interrupt()
        if outage.link is None:
            self._end_outage(outage, items)

    def _reconnected(self, link: Link, items: list[Item]) -> bool:
        # The descriptor may become another one.
        if self._client.fileno() >= 0:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._client)
        connected = link.step()
        if link.asked:
            self._poll.register(self._client, select.POLLIN)
        if link.worth_telling():
            items.append(Waiting())
        if not connected and not items:
            link.check()
        return connected

    def _take_up(self, outage: Outage, items: list[Item]) -> None:
        """Lease anew what is still the same; see what has become of the rest."""
        feed, strangers = self._feed, False
        if feed is not None:
            feed.check(self._client.server.layout)
        if not (self.living or self._targets.selectors):
            return
        answer = self._lease(list(self.living))
        if answer.missed < self._tally.escaped:
            self._tally.restarted()
        self._missed(answer.missed, items)
        for failure in answer.errors:
            self._missing(self.living[failure.pid], outage, failure)
        for process in answer.processes:
            if process.pid not in self.living:
                # A child that was made while there was nobody to tell us.
                self._join(process, None, items, Totals())
                continue
            known = self.living[process.pid]
            if process.start != known.start:
                strangers = True
                self._missing(known, outage, None)
                continue
            if process.attached != known.attached or process.fresh:
                self._tally.began_anew(known, self._last_words.get((known.pid, known.start)))
                if feed is not None:
                    feed.reader.anew(process.pid)
            self.living[process.pid] = process
        if strangers:
            # There is a lease on them now, which ends with this connection.
            self._interrupt()
        elif feed is not None and answer.endpoint:
            feed.lease(answer.endpoint, self.living.values(), answer.epoch, answer.replaced)
        outage.leaseless = strangers

    def _missing(self, process: Process, outage: Outage, failure: Failure | None) -> None:
        """A process is not there any more: what is still known of it?"""
        last = self._client.summary([process.pid])
        found = [
            p for p in last.processes if (p.start, p.attached) == (process.start, process.attached)
        ]
        published = lost = None
        if not found:
            self._tally.began_anew(process, self._last_words.get((process.pid, process.start)))
        else:
            published, lost = found[0].published, found[0].lost
            if self._want_totals:
                self._tally.exited(last)
        if self._feed is not None:
            self._feed.reader.gone(process.pid, published, lost)
        del self.living[process.pid]
        gone = failure is None or failure.code == Code.NO_SUCH_PROCESS
        outage.gone.append(Gone(process, None if gone or failure is None else failure.message))

    def _end_outage(self, outage: Outage, items: list[Item]) -> None:
        events = None
        if self._feed is not None:
            for leaving in self._leaving.values():
                self._feed.reader.gone(leaving.process.pid, leaving.published, leaving.lost)
            events = self._feed.reader.missing()
        items.append(Interrupted(outage.seconds, events))
        items += outage.held
        for gone in outage.gone:
            items.append(gone)
            self._forget(gone.process)
        self._outage = None
