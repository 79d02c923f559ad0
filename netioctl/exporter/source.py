"""Asks the daemon for all that the metrics are of: once for many who want to know."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from netioctl.answers import Held, Standing
from netioctl.client import Client
from netioctl.exporter import metrics, origins
from netioctl.exporter.accounts import Accounts
from netioctl.exporter.metrics import Metric
from netioctl.output import say
from netioctl.wire.control import Object
from netioctl.wire.errors import NetioError

#: Seconds for which an answer is as good as new.
FRESH = 1.0


class Source:
    """What there is to tell, whether or not the daemon answers. For several threads."""

    def __init__(
        self,
        connect: Callable[[], Client],
        accounts: Accounts,
        wanted: Callable[[Held], bool],
        choice: Callable[[Sequence[Standing]], origins.Choice] = origins.added,
    ) -> None:
        """`wanted`: which rows of `list` count; `choice`: of which selectors, from those that were
        added."""
        self._connect, self._accounts, self._wanted = connect, accounts, wanted
        self._choice = choice
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._asked = -math.inf
        self._metrics: tuple[Metric, ...] = ()
        #: Why the daemon does not answer, as it was last told; None: it does.
        self._trouble: str | None = None

    def metrics(self, fresh: float = FRESH) -> tuple[Metric, ...]:
        """Every metric, not older than `fresh` seconds; asks the daemon where that takes it."""
        with self._lock:
            if time.monotonic() - self._asked >= fresh:
                status = self._ask()
                self._asked = time.monotonic()
                self._metrics = (
                    *metrics.from_daemon(status),
                    metrics.lost(self._accounts, status),
                    *metrics.from_accounts(self._accounts),
                )
            return self._metrics

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._hang_up()

    def _ask(self) -> Object | None:
        try:
            if self._client is None:
                self._client = self._connect()
            rows, standing = self._client.listing()
            status = self._client.status()
        except NetioError as error:
            self._hang_up()
            if self._trouble is None:
                say(f"netioctl: {error}\nnetio_up is 0 until netiod answers")
            self._trouble = str(error)
            return None
        if self._trouble is not None:
            self._trouble = None
            say("netiod answers again")
        self._accounts.take((row for row in rows if self._wanted(row)), self._choice(standing))
        return status

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
