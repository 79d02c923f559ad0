"""The control connection: ask netiod, and hear what it tells. Public Python API.

    with Client() as client:
        for held in client.list():
            print(held.process.pid, held.total.sent_bytes)

A connection is a lease: what `watch` attached is let go when the client closes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netioctl import __version__, answers, notices, stats
from netioctl.exchange import Exchange
from netioctl.fields import list_
from netioctl.targets import Selector
from netioctl.wire import PROTOCOL_VERSION, control
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import ConnectionLost, UsageError, VersionMismatch

if TYPE_CHECKING:
    from types import TracebackType

#: Seconds that the daemon may be silent when something is asked of it.
TIMEOUT = 5.0
#: PIDs in one request, so few that what the answer says of each fits one line.
PIDS_AT_ONCE = 128
#: Looks for cgroups that come and go all the time.
_LOOKS = 5
_HELLO = {"protocol": PROTOCOL_VERSION, "client": f"netioctl {__version__}"}
#: What may be asked twice, where the connection ended before the answer to the first came.
_REPEATABLE = frozenset(("add", "list", "status", "summary", "watch"))


def run_directory(run_dir: str | os.PathLike[str] | None = None) -> str:
    """The run directory to use: `run_dir`, else $NETIO_RUN_DIR, else the default."""
    return os.fspath(run_dir or os.environ.get("NETIO_RUN_DIR") or control.DEFAULT_RUN_DIR)


class Client:
    """A connection to netiod; says hello when it is made.

    `timeout` is in seconds and bounds each wait for the daemon.

    Raises, here and in every method:
        DaemonUnreachable: nobody answers; the text says why that may be.
        ProtocolError: what answers is not netiod.
        RequestError: the daemon refuses; VersionMismatch where it speaks another protocol.
    """

    def __init__(
        self, run_dir: str | os.PathLike[str] | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        self.path = os.path.join(run_directory(run_dir), control.SOCKET_NAME)
        self.timeout = timeout
        self._told: deque[notices.Notification] = deque()
        self._leases = False
        self._exchange = Exchange(self.path, timeout, self._hear)
        try:
            #: Who answered.
            self.server = self._greet()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it every lease."""
        self._exchange.close()

    def fileno(self) -> int:
        """The descriptor that is readable when notifications may have come."""
        return self._exchange.fileno()

    def hello(self) -> answers.Hello:
        """Tell the protocol version; the daemon refuses one that it does not speak."""
        return _checked(self._exchange.ask("hello", _HELLO)[0])

    def renew(self) -> None:
        """Connect anew, without waiting, after the connection was lost; then ask greeted().

        Every lease is gone, and so is what the daemon told and nobody has heard.
        """
        self._exchange.close()
        self._told.clear()
        self._exchange = Exchange(self.path, self.timeout, self._hear, wait=False)
        self._exchange.send("hello", _HELLO)

    def greeted(self) -> bool:
        """Whether the daemon has answered hello since renew(); does not wait."""
        answer = self._exchange.answer()
        if answer is None:
            return False
        self.server = _checked(answer)
        return True

    def watch(
        self,
        pids: Sequence[int],
        *,
        stream: bool = True,
        selectors: Sequence[Selector] = (),
        follow: bool = False,
        failed: bool = False,
    ) -> answers.Watched:
        """Attach processes until this client closes; the answer names their stream, if wanted.

        Those that `selectors` choose, and with `follow` children of all, come as notifications.
        With `failed` operations that fail are events, too.
        """
        more = {"stream": stream, **_more(selectors, follow, failed)}
        asked = ({**each, **more} for each in _pieces(pids))
        parts = []
        for each in asked:
            parts.append(answers.watched(self._ask("watch", each)))
            self._leases = True
        self._look_again("watch", more)
        return answers.Watched(
            next((part.endpoint for part in parts if part.endpoint), ""),
            tuple(process for part in parts for process in part.processes),
            tuple(failure for part in parts for failure in part.errors),
            min(part.missed for part in parts),
            parts[-1].epoch,
            max(part.replaced for part in parts),
        )

    def sync(self, pids: Sequence[int]) -> dict[int, int]:
        """Have an empty frame sent on the topic of each watched process.

        Returns the index that the next event of each will have: who has read up to there has
        all that happened before.
        """
        published: dict[int, int] = {}
        for each in _pieces(pids):
            published.update(answers.published(self._ask("sync", each)))
        return published

    def describe(self, ids: Collection[int]) -> dict[int, Connection]:
        """What the ids of connections in events mean, as far as the daemon knows that still."""
        wanted = list(ids)
        found: dict[int, Connection] = {}
        for at in range(0, len(wanted), control.MAX_IDS_A_REQUEST):
            piece = wanted[at : at + control.MAX_IDS_A_REQUEST]
            found.update(map(answers.connection, self._ask_rows("describe", {"ids": piece})[1]))
        return found

    def add(
        self, pids: Sequence[int], *, selectors: Sequence[Selector] = (), follow: bool = False
    ) -> answers.Changes:
        """Attach processes until `remove` or their exit; `selectors` choose more until `remove`."""
        return self._change("add", pids, _more(selectors, follow))

    def remove(self, pids: Sequence[int], *, selectors: Sequence[Selector] = ()) -> answers.Changes:
        """Undo `add`."""
        return self._change("remove", pids, _more(selectors, False))

    def list(self) -> tuple[answers.Held, ...]:
        """The processes that are held, or exited not long ago, as far as the caller may see."""
        return self.listing().held

    def listing(self) -> answers.Listing:
        """list(), and the selectors that were added, as far as the caller may see them."""
        answer, rows = self._ask_rows("list", {})
        selectors = list_(answer, "selectors", answers.standing) if "selectors" in answer else ()
        return answers.Listing(tuple(answers.held(row) for row in rows), selectors)

    def summary(self, pids: Sequence[int]) -> answers.Summary:
        """Totals and connections of processes since they were attached."""
        return stats.combine(
            [answers.summary(*self._ask_rows("summary", each)) for each in _pieces(pids)]
        )

    def status(self) -> control.Object:
        """How the daemon does, as PROTOCOL.md lists it."""
        return self._ask("status", {})

    def notifications(self) -> tuple[notices.Notification, ...]:
        """What the daemon has told unasked since the last call; does not wait.

        Raises:
            ConnectionLost: the connection has ended, and all that came before was returned.
        """
        try:
            self._exchange.listen()
        except ConnectionLost:
            if not self._told:
                raise
        told = tuple(self._told)
        self._told.clear()
        return told

    def _change(self, method: str, pids: Sequence[int], more: control.Object) -> answers.Changes:
        asked = ({**each, **more} for each in _pieces(pids))
        parts = [answers.changes(self._ask(method, each)) for each in asked]
        if method == "add":
            self._look_again(method, more)
        return answers.Changes(
            tuple(process for part in parts for process in part.processes),
            tuple(failure for part in parts for failure in part.errors),
            parts[0].selectors,
        )

    def _look_again(self, method: str, more: control.Object) -> None:
        """Tell of cgroups that were made between our look and the moment from which the kernel has
        an eye on their paths."""
        for _ in range(_LOOKS):
            stale = [each for each in more.get("selectors", ()) if each.get("path")]
            news = [each for each in map(_now, stale) if each["value"] and each not in stale]
            if not news:
                return
            more = {**more, "selectors": news}
            self._ask(method, more)

    def _ask(self, method: str, params: control.Object) -> control.Object:
        return self._ask_rows(method, params)[0]

    def _ask_rows(
        self, method: str, params: control.Object
    ) -> tuple[control.Object, Sequence[Any]]:
        """The result of a request, and the rows that came before it."""
        try:
            return self._exchange.ask(method, params)
        except ConnectionLost:
            if self._leases or method not in _REPEATABLE:
                raise
        # Who was to answer has died, and its successor is about to come.
        self._connect()
        self.server = self._greet()
        return self._exchange.ask(method, params)

    def _greet(self) -> answers.Hello:
        """hello() on a new connection, or on the one after it, if that is lost meanwhile."""
        try:
            return self.hello()
        except ConnectionLost:
            self._connect()
            return self.hello()

    def _connect(self) -> None:
        self._exchange.close()
        self._exchange = Exchange(self.path, self.timeout, self._hear)

    def _hear(self, message: control.Object) -> None:
        told = notices.notification(message)
        if told is not None:
            self._told.append(told)


def _checked(answer: control.Object) -> answers.Hello:
    found = answers.hello(answer)
    if found.protocol != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"netiod {found.version} speaks protocol {found.protocol}, this client "
            f"{PROTOCOL_VERSION}: install the same version of both"
        )
    return found


def _more(selectors: Sequence[Selector], follow: bool, failed: bool = False) -> control.Object:
    """Params that older daemons do not know are sent only where they are needed."""
    more: control.Object = {}
    if selectors:
        more["selectors"] = [_now(selector.object) for selector in selectors]
    if follow:
        more["follow"] = True
    if failed:
        more["failed"] = True
    return more


def _now(selector: control.Object) -> control.Object:
    """A selector with the cgroup that is at its path now."""
    if not selector.get("path"):
        return selector
    from netioctl import cgroups

    try:
        return {**selector, "value": cgroups.now(selector["path"])}
    except UsageError:
        return selector  # no such hierarchy here: it is another machine's, or another namespace's


def _pieces(pids: Sequence[int]) -> Iterator[control.Object]:
    """The params of as many requests as it takes; one at least, so that the daemon can object."""
    for at in range(0, max(1, len(pids)), PIDS_AT_ONCE):
        yield {"pids": list(pids[at : at + PIDS_AT_ONCE])}
