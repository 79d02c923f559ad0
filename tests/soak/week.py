"""A week's connections of one process, as fast as they come: memory stays, and totals are exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.system.conftest import Daemon, Traffic

#: Five a second for a week.
CONNECTIONS = 3_000_000
#: Bytes that netiod's processes may have more in the end than when their tables were first full.
_GROWTH = 16 << 20
_PATIENCE = 1800.0


def run(run_dir: Path, connections: int, progress: Callable[[int, int], None]) -> list[str]:
    """What is wrong, a line each; `progress` hears connections so far and bytes of memory."""
    daemon = Daemon(run_dir)
    one = Traffic("many_peers", connections)
    try:
        daemon.ctl("add", one.pid)
        room = int(daemon.status()["max_connections"])
        one.start()
        full = most = done = 0
        until = time.monotonic() + _PATIENCE
        while done < connections and time.monotonic() < until:
            time.sleep(1)
            done = daemon.summary(one.pid)["total"]["send_ops"]
            memory = daemon.memory()
            # Filled twice, its dictionaries and the allocator have what they need.
            if not full and done >= 2 * room:
                full = memory
            most = max(most, memory)
            progress(done, memory)
        said = one.result()
        summary = daemon.summary(one.pid)
        rows = sum(row["sent_bytes"] for row in summary["connections"])
        total = summary["total"]["sent_bytes"]
        wrong = []
        if not total == rows == said["sent"]:
            wrong.append(f"{said['sent']:,} bytes were sent, {total:,} counted, {rows:,} in rows")
        if most - full > _GROWTH:
            wrong.append(f"memory grew from {full >> 20} to {most >> 20} MB")
        return wrong
    finally:
        one.process.kill()
        one.process.communicate()
        daemon.kill()
