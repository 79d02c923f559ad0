"""Which workload is run under which conditions, and what is asked of netio there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import conditions, rivals, servers, workload
from tests.bench.results import Goal, at_least
from tests.bench.watcher import Condition

#: Bytes of nginx's responses.
SMALL, LARGE = 64, 1 << 20
_SPEED = "share of speed that a process keeps"
_HOW = """\
One process of the workload runs all the time, alternately with nobody who watches (A) and under
one of the conditions (B): A B A B … A. A share is B divided by the mean of the A before and the
A after it, so that a machine that becomes slower or faster meanwhile does little harm. The speed
of a run is the median of its slices of 0.1 s. The workload is one thread, not bound to a core:
64-byte datagrams between two UDP sockets, so it does next to nothing but what is watched. On a
machine with two cores the daemon and the viewer compete with it for them, which is in the share.
`share_of_cpu_speed` in the JSON file divides by the workload's CPU time instead, which leaves
the competition for cores out, but not that for caches. "Watched by a viewer that only counts" is
what the kernel and the daemon take by themselves; "added" what the kernel takes for exact
counters. `unwatched` is what every other process on the machine pays. Goals stand at the rows
with `--no-splice`, which are the tracepoints alone: on kernels without kprobes netio by default
also follows splice(2) by tracepoints of system calls, and then every system call pays for that,
as the rows without the option show. The floor: empty hooks are two programs on the same raw
tracepoints that return at once, which no tool there can do without; bare hooks put an event of
32 bytes (time, PID, bytes) into a ring for every process, and a reader takes them in bulk, once
in 10 ms, and does nothing with them. The others are what people use today: scripts for BCC that
print a line an event from a callback, with a ring buffer of netio's size or with a perf buffer;
bpftrace, which counts bytes and events in maps, or prints a line an event; strace and perf trace
of the calls for sockets; tcptop (TCP alone); nethogs on loopback, which sees packets and no
calls. All but nethogs are told the PID, and all that print do so to /dev/null. Each is attached
before B begins. A tool that is missing, or that this kernel does not allow, is skipped with its
reason. "Share of events delivered": those that the daemon published or a callback got, of these
and those that found no room; what is lost makes the share of speed higher. CPU a million
delivered events: CPU time, user and system, of the script's process, from before the run until
it has caught up and rests, divided by the events that its callback got; the same of netio's
daemon (supervisor, broker, gate) with one viewer, which for UDP is one that only counts, divided
by the events that it published; each ratio is of one repetition. In the JSON file, `watcher_cpu`
is the CPU time of every one of them a million operations of the workload, and `events` and the
losses are counted a million operations where the tool tells them."""
#: Beside each of the usual workloads; the worst case has all there are.
_USUAL = (
    "watched",
    "watched-no-splice",
    "added-no-splice",
    "unwatched-no-splice",
    "empty",
    "bare",
    "bcc-ring",
    "bpftrace-count",
)
#: netio's goals are those of the tracepoints alone: see _HOW.
_UDP_GOALS = {
    "watched-no-splice": at_least(0.85),
    "added-no-splice": at_least(0.88),
    "unwatched-no-splice": at_least(0.95),
}
_NGINX_GOALS = {"watched-no-splice": at_least(0.95)}


@dataclass(frozen=True)
class Plan:
    """A measurement of speed. `goals`: bounds on shares, by the condition's name."""

    name: str
    what: str
    how: str
    workload: Callable[[Path], AbstractContextManager[workload.Workload]]
    conditions: Sequence[Condition]
    goals: Mapping[str, Goal] = field(default_factory=dict)


def every() -> tuple[Condition, ...]:
    """All conditions."""
    return (*conditions.CONDITIONS, *rivals.FLOOR, *rivals.RIVALS)


def named(*names: str) -> tuple[Condition, ...]:
    """The conditions of these names, in their usual order."""
    found = tuple(condition for condition in every() if condition.name in names)
    assert len(found) == len(set(names)), names
    return found


PLANS = (
    Plan(
        "speed",
        _SPEED,
        _HOW,
        workload.udp_pairs,
        every(),
        _UDP_GOALS,
    ),
    Plan(
        "speed-tcp",
        f"{_SPEED}, TCP echo",
        "The same of an echo of 1 KiB over 100 TCP connections, whose ends both belong to one "
        "thread.",
        workload.tcp_echo,
        named(*_USUAL, "strace", "tcptop", "nethogs"),
    ),
    Plan(
        "speed-nginx",
        f"{_SPEED}, nginx and small responses",
        f"The same of nginx, one worker and responses of {SMALL} bytes over 50 connections that "
        "wrk keeps. The worker is the process that is watched, its speed wrk's requests a second. "
        "nginx stays up all the time; wrk, one thread, is started anew for each run and competes "
        "with netio for the cores as well.",
        lambda scratch: servers.nginx(scratch, SMALL),
        named(*_USUAL),
        _NGINX_GOALS,
    ),
    Plan(
        "speed-nginx-large",
        f"{_SPEED}, nginx and responses of 1 MiB",
        "The same with responses of 1 MiB, by sendfile(2).",
        lambda scratch: servers.nginx(scratch, LARGE),
        named(*_USUAL),
        _NGINX_GOALS,
    ),
    Plan(
        "speed-redis",
        f"{_SPEED}, redis-server",
        "The same of redis-server without persistence, which answers GET in pipelines of 16 over "
        "50 connections. Its speed is the requests a second that redis-benchmark says; that is "
        "started anew for each run, with as many requests as take about that time.",
        servers.redis,
        named(*_USUAL),
    ),
)
