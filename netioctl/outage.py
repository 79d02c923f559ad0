"""While the way to the daemon is broken: reaching it again, and what waits for that."""

from __future__ import annotations

import time
from typing import Any

from netioctl.client import Client
from netioctl.wire.errors import DaemonUnreachable

#: Seconds that a lost daemon is waited for, and after which people are told so.
PATIENCE, TELL_AFTER = 10.0, 1.0
#: Seconds between two tries: at first, and at most.
_FIRST, _MOST = 0.02, 0.5


class Link:
    """Connects a client anew, without waiting: step() is to be called again and again.

    The control socket outlives who answers there: most often the first try waits in its queue.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._delay = _FIRST
        self._lost = self._next = time.monotonic()
        self._told = False
        #: Whether the client has a connection, on which hello is still to be answered.
        self.asked = False

    def step(self) -> bool:
        """Whether there is somebody again, who has answered hello.

        Raises:
            NetioError: whoever answers is not the daemon that is looked for.
        """
        try:
            if not self.asked and time.monotonic() >= self._next:
                self._client.renew()
                self.asked = True
            return self.asked and self._client.greeted()
        except DaemonUnreachable:
            self.asked = False
            self._next = time.monotonic() + self._delay
            self._delay = min(2 * self._delay, _MOST)
            return False

    @property
    def due(self) -> float:
        """When step() should be called if nothing comes before (monotonic seconds)."""
        end = self._lost + PATIENCE
        if not self._told:
            end = self._lost + TELL_AFTER
        return end if self.asked else min(end, self._next)

    def worth_telling(self) -> bool:
        """Once, when it has taken long enough that people should know."""
        if self._told or time.monotonic() < self._lost + TELL_AFTER:
            return False
        self._told = True
        return True

    def check(self) -> None:
        """Give up after PATIENCE.

        Raises:
            DaemonUnreachable: nobody has come.
        """
        if time.monotonic() >= self._lost + PATIENCE:
            raise DaemonUnreachable(
                f"netiod ended the connection at {self._client.path} and has not come back for "
                f"{PATIENCE:.0f} s (check: systemctl status netiod)"
            )


class Outage:
    """From the moment when something broke until events flow again."""

    def __init__(self, seconds: float = 0.0) -> None:
        """`seconds`: how long it has lasted already."""
        self._began = time.monotonic() - seconds
        #: How the daemon is reached again; None: it need not be, or was.
        self.link: Link | None = None
        #: The leases are gone, and are to be taken up anew.
        self.leaseless = False
        #: What comes now is from after the interruption: held back until its length is known.
        self.over = False
        self.held: list[Any] = []
        #: Processes that are found gone.
        self.gone: list[Any] = []

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self._began
