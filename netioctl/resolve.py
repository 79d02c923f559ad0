"""Names of hosts and ports in the place of their numbers, as they become known.

Who asks never waits: threads look names up, and until one is known the number stands.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Optional, Union

from netioctl.wire.endpoints import split

if TYPE_CHECKING:
    from netioctl.wire.endpoints import Connection

#: Names that are remembered, and questions that may wait.
_MOST, _WAITING = 10_000, 500
#: Each may be held up by a name server that does not answer.
_THREADS = 4

#: An address, or a port with the protocol it is of.
_Key = Union[str, "tuple[int, str]"]
_Lookup = Callable[[_Key], Optional[str]]


def look_up(key: _Key) -> str | None:
    """The name that the system knows of a host or a service; waits as long as that takes."""
    try:
        if isinstance(key, tuple):
            return socket.getservbyport(*key)
        host = key[len("::ffff:") :] if key.startswith("::ffff:") and "." in key else key
        name, _ = socket.getnameinfo((host, 0), socket.NI_NAMEREQD)
    except (OSError, UnicodeError):
        return None
    # Whoever has the address chooses its name, which must not pass for another address.
    return None if re.fullmatch(r"[\d.]*|.*:.*", name.partition("%")[0]) else name


class Names:
    """Looks names up in the background, each once."""

    def __init__(self, look_up: _Lookup = look_up) -> None:
        self._look_up = look_up
        self._known: OrderedDict[_Key, str | None] = OrderedDict()
        self._lock = threading.Lock()
        self._questions: Queue[_Key] = Queue(_WAITING)
        self._asked: set[_Key] = set()
        self._threads = 0
        self._refused = False
        #: Grows when get() may answer otherwise than before.
        self.generation = 0

    def get(self, key: _Key) -> str | None:
        """The name, None while none is known; does not wait."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            if key in self._asked:
                return None
            try:
                self._questions.put_nowait(key)
            except Full:
                self._refused = True
                return None
            self._asked.add(key)
            if self._threads < _THREADS:
                self._threads += 1
                # As daemons, lest the end of a watch waits for a name server.
                threading.Thread(target=self._work, daemon=True).start()
        return None

    def _work(self) -> None:
        while True:
            try:
                key = self._questions.get(timeout=1.0)
            except Empty:
                with self._lock:
                    if not self._questions.empty():
                        continue
                    self._threads -= 1
                return
            name = self._look_up(key)
            with self._lock:
                self._known[key] = name
                self._asked.discard(key)
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
                if name is not None or (self._refused and self._questions.empty()):
                    self._refused = False
                    self.generation += 1


class Named:
    """A look-up of connections whose ends have names where these are known."""

    def __init__(self, lookup: Callable[[int], Connection], names: Names) -> None:
        self._lookup, self._names = lookup, names

    def __call__(self, ident: int) -> Connection:
        """The connection with that id."""
        found = self._lookup(ident)
        if found.family not in ("inet", "inet6"):
            return found
        near, far = (self._end(end, found.proto) for end in (found.local, found.remote))
        return found._replace(local=near, remote=far)

    def _end(self, end: str | None, proto: str | None) -> str | None:
        if end is None:
            return None
        host, port = split(end)
        # Services of other protocols are those of these two.
        kind = "udp" if proto in ("udp", "udplite") else "tcp"
        name = self._names.get(host)
        service = self._names.get((port, kind)) if port else None
        return f"{name or end.rpartition(':')[0]}:{service or port}"
