"""What was measured of a workload under one condition."""

from __future__ import annotations

import statistics

from tests.bench.watcher import Seen
from tests.bench.workload import Run


class Taken:
    """A repetition is one of each list."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.cpu_shares: list[float] = []
        self.rates: list[float] = []
        self.operations: list[int] = []
        #: CPU seconds of the watcher, and what it says that it saw.
        self.cpu: list[float] = []
        self.seen: list[Seen] = []

    def add(self, before: Run, during: Run, after: Run) -> None:
        """A B A."""
        self.shares.append(2 * during.rate / (before.rate + after.rate))
        self.cpu_shares.append(2 * during.rate_on_cpu / (before.rate_on_cpu + after.rate_on_cpu))
        self.rates.append(during.rate)
        self.operations.append(during.operations)

    def watched(self, cpu: float, seen: Seen) -> None:
        """What the watcher used and saw in a run."""
        self.cpu.append(cpu)
        self.seen.append(seen)

    @property
    def share(self) -> float:
        """The median of the shares."""
        return statistics.median(self.shares)

    def cpu_a_million_events(self) -> list[float]:
        """CPU seconds of the watcher for a million events that it got, of each repetition; empty
        where it does not tell, or got none."""
        pairs = list(zip(self.cpu, self.seen))
        if not all(seen.events for _, seen in pairs):
            return []
        return [cpu / (seen.events or 1) * 1e6 for cpu, seen in pairs]

    def delivered(self) -> list[float]:
        """The share of the events that the watcher got, of each repetition; empty where it does
        not tell."""
        pairs = [(seen.events, seen.lost_in_kernel) for seen in self.seen]
        shares = [
            events / (events + lost + (seen.lost_in_daemon or 0))
            for (events, lost), seen in zip(pairs, self.seen)
            if events and lost is not None
        ]
        return shares if len(shares) == len(pairs) else []

    def a_million_operations(self) -> dict[str, float]:
        """What the watcher used, got and lost for each million operations of the workload: all
        repetitions together; without what it does not tell."""
        million = sum(self.operations) / 1e6
        told = {"watcher_cpu": sum(self.cpu) / million}
        for name, values in zip(Seen._fields, zip(*self.seen)):
            if None not in values:
                told[name] = sum(values) / million
        return {key: round(value, 6) for key, value in told.items()}
