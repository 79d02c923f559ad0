"""How active processes are: what they move in a moment, by the kernel's counters."""

from __future__ import annotations

import time
from collections.abc import Sequence

from netioctl.client import Client

#: Seconds that they are counted, and how many of them at most.
SECONDS, MOST = 0.5, 200


def moved(client: Client, pids: Sequence[int], seconds: float = SECONDS) -> dict[int, int]:
    """Bytes that each of the first MOST processes sent and received in so many seconds.

    They are attached for as long as `client` is connected. Those that cannot be are left out.
    """
    if not pids:
        return {}
    attached = client.watch(pids[:MOST], stream=False).processes
    wanted = {(process.pid, process.attached) for process in attached}
    before = _totals(client)
    time.sleep(seconds)
    after = _totals(client)
    return {
        pid: after[pid, since] - before.get((pid, since), 0)
        for pid, since in wanted
        if (pid, since) in after
    }


def _totals(client: Client) -> dict[tuple[int, int | None], int]:
    return {
        (row.process.pid, row.process.attached): row.total.sent_bytes + row.total.recv_bytes
        for row in client.list()
    }
