"""Run operations one by one, and compare what the calls returned with what netio counted."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from netioctl.answers import Totals
from netioctl.targets import Selector
from tests.accuracy.exceptions import known, known_peer
from tests.accuracy.programs import AccuracyError, Daemon, Generator, NoAnswer, Offer, Report
from tests.accuracy.results import Operation, Status

#: Counters are written before a call returns; those of a process that exits, a moment later.
_LATE = 0.5


class Filter:
    """`--only`: patterns of families, operations, or FAMILY/OPERATION. No pattern: everything."""

    def __init__(self, patterns: Sequence[str], families: Sequence[str]) -> None:
        self._pairs = []
        for pattern in patterns or ("*",):
            family, slash, op = pattern.partition("/")
            if slash:
                self._pairs.append((family, op))
            elif any(fnmatchcase(each, pattern) for each in families):
                self._pairs.append((pattern, "*"))
            else:
                self._pairs.append(("*", pattern))

    def wants(self, family: str, op: str) -> bool:
        """Is this operation to be run?"""
        return any(fnmatchcase(family, one) and fnmatchcase(op, two) for one, two in self._pairs)

    def wants_family(self, family: str) -> bool:
        """May any operation of this family be wanted?"""
        return any(fnmatchcase(family, one) for one, _ in self._pairs)


def run(
    daemon: Daemon, backend: str, program: Path, only: Filter, step: Callable[[str], None]
) -> Iterator[Operation]:
    """Every operation that `only` wants, of every family; `step` hears what comes next."""
    for family in Generator.families(program):
        if only.wants_family(family):
            yield from _run_family(daemon, backend, program, family, only, step)


def _run_family(
    daemon: Daemon,
    backend: str,
    program: Path,
    family: str,
    only: Filter,
    step: Callable[[str], None],
) -> Iterator[Operation]:
    done: set[Offer] = set()
    stuck: dict[Offer, str] = {}
    while True:
        try:
            generator = Generator(program, family)
        except AccuracyError as error:
            yield Operation(family, "socket", "both", Status.OFF, note=str(error))
            return
        try:
            if generator.absent is not None:
                yield Operation(family, "socket", "both", Status.ABSENT, note=generator.absent)
                return
            left = [each for each in generator.offers if each not in done]
            meter = _Meter(daemon, generator)
            for offer in left:
                done.add(offer)
                if not only.wants(family, offer.name):
                    continue
                step(f"{backend} {family} {offer.name}")
                try:
                    found = meter.measure(backend, family, offer)
                    if offer in stuck:
                        found = found._replace(note=f"at the second try; {stuck[offer]}")
                    yield found
                except NoAnswer as error:
                    # Nothing is known of what was moved. Once a kernel may lose somebody's turn.
                    if offer in stuck:
                        yield Operation(
                            family, offer.name, offer.direction, Status.OFF, note=str(error)
                        )
                    else:
                        stuck[offer] = str(error)
                        done.discard(offer)
                    break
                except AccuracyError as error:
                    yield Operation(
                        family, offer.name, offer.direction, Status.OFF, note=str(error)
                    )
                    break  # another generator goes on with the rest
            else:
                return
        finally:
            generator.close()


@dataclass(frozen=True)
class _Look:
    """A generator's summary: totals, bytes by direction and peer, operations that escaped."""

    total: Totals
    peers: Counter[tuple[str, str]]
    missed: int


class _Meter:
    """Counts, operation by operation, for a generator."""

    def __init__(self, daemon: Daemon, generator: Generator) -> None:
        self._daemon, self._generator = daemon, generator
        self._before: dict[int, Totals] = {}
        self._chosen: list[Selector] = []
        self._watch(generator.pid)
        self._last = self._look()

    def measure(self, backend: str, family: str, offer: Offer) -> Operation:
        """Do one operation and judge it."""
        pid = self._generator.pid
        # What was counted since the last operation is none of its, so it would be an error, too.
        before = self._last
        self._before = {pid: before.total}
        try:
            report = self._generator.run(offer.name, self._watch, self._choose)
        finally:
            if self._chosen:
                self._daemon.client.remove([], selectors=self._chosen)
                self._chosen.clear()
        expected = _expected(report, pid)
        seen = self._seen(expected)
        exception = known(backend, family, offer.name)
        deadline = time.monotonic() + (0 if exception else _LATE)
        while _less(seen, expected) and time.monotonic() < deadline:
            time.sleep(0.02)
            seen = self._seen(expected)
        exact = _same(seen, expected)
        notes = list(report.notes)
        if exact:
            status = Status.EXACT
        else:
            status = Status.OFF
            # An upper bound: an operation may need several programs, and a kernel that can be
            # preempted skips those on a CPU where somebody was preempted inside one, or inside a
            # call on a BPF map.
            escaped = self._last.missed - before.missed
            lacking = max(1, _ops(expected) - _ops(seen))
            if escaped >= lacking:
                status = Status.LOSS_TOLD
            if escaped or not exception:
                notes.append(f"{lacking} operations escaped; netiod says at most {escaped}")
        if report.end == "absent":
            notes.insert(0, report.text)
            status = Status.ABSENT if exact else Status.OFF
        elif report.end == "wrong":
            notes.insert(0, report.text)
            status = Status.OFF
        elif exception:
            status = Status.KNOWN if status is Status.OFF else Status.SPARED
            if not any(total.sent_bytes or total.recv_bytes for total in expected.values()):
                status = Status.EXACT if exact else Status.OFF
        if exact and report.end == "done":
            strangers = _strangers(report, self._last.peers - before.peers)
            if strangers:
                notes.append(strangers)
                excused = known_peer(backend, family, offer.name)
                status = Status.KNOWN if excused else Status.OFF
        wanted, got = _sum(expected), _sum(seen)
        if len(expected) > 1 and not exact:
            notes.append(_by_process(expected, seen, pid))
        return Operation(
            family,
            offer.name,
            offer.direction,
            status,
            (wanted.sent_bytes, wanted.recv_bytes),
            (got.sent_bytes, got.recv_bytes),
            "; ".join(notes),
        )

    def _look(self) -> _Look:
        summary = self._daemon.client.summary([self._generator.pid])
        peers: Counter[tuple[str, str]] = Counter()
        for row in summary.rows:
            peers["send", row.remote or "*"] += row.total.sent_bytes
            peers["recv", row.remote or "*"] += row.total.recv_bytes
        return _Look(summary.total, peers, summary.missed)

    def _watch(self, pid: int) -> None:
        for failure in self._daemon.client.add([pid]).errors:
            raise AccuracyError(f"netiod does not add {pid}: {failure.message}")
        self._before[pid] = Totals()

    def _choose(self, name: str) -> None:
        self._chosen.append(Selector("name", name, f"--name {name}"))
        self._daemon.client.add([], selectors=self._chosen)

    def _seen(self, expected: dict[int, Totals]) -> dict[int, Totals]:
        self._last = self._look()
        pids = {*self._before, *expected}
        now = {
            pid: self._daemon.client.summary([pid]).total for pid in pids - {self._generator.pid}
        }
        now[self._generator.pid] = self._last.total
        return {
            pid: Totals(*(a - b for a, b in zip(total, self._before.get(pid, Totals()))))
            for pid, total in now.items()
        }


def _expected(report: Report, pid: int) -> dict[int, Totals]:
    """What the calls of each process returned, added up."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    sums[pid] = [0, 0, 0, 0]
    for moved in report.moved:
        at = 0 if moved.direction == "send" else 1
        sums[moved.pid][at] += moved.bytes
        sums[moved.pid][at + 2] += moved.ops
    return {each: Totals(*values) for each, values in sums.items()}


def _same(seen: dict[int, Totals], expected: dict[int, Totals]) -> bool:
    """Bytes alone: how many operations one call is, kernels and back-ends see differently."""
    return all(total[:2] == expected.get(pid, Totals())[:2] for pid, total in seen.items())


def _less(seen: dict[int, Totals], expected: dict[int, Totals]) -> bool:
    """Is anything missing, that may still be on its way?"""
    return any(
        counted < returned
        for pid, total in expected.items()
        for counted, returned in zip(seen[pid][:2], total[:2])
    )


def _strangers(report: Report, seen: Counter[tuple[str, str]]) -> str:
    """How the peers in netio's rows differ from those that the generator names, or nothing."""
    expected: Counter[tuple[str, str]] = Counter()
    for moved in report.moved:
        if not moved.peer:
            return ""
        expected[moved.direction, moved.peer] += moved.bytes
    return "" if seen == expected else f"peers: {_named(seen)}, not {_named(expected)}"


def _named(peers: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{way} {peer} {count}" for (way, peer), count in sorted(peers.items()))


def _sum(totals: dict[int, Totals]) -> Totals:
    return Totals(*map(sum, zip(*totals.values())))


def _ops(totals: dict[int, Totals]) -> int:
    total = _sum(totals)
    return total.send_ops + total.recv_ops


def _by_process(expected: dict[int, Totals], seen: dict[int, Totals], pid: int) -> str:
    parts = []
    for each, got in sorted(seen.items()):
        wanted = expected.get(each, Totals())
        name = "generator" if each == pid else f"PID {each}"
        parts.append(f"{name} sent {got[0]} of {wanted[0]}, received {got[1]} of {wanted[1]}")
    return ", ".join(parts)
