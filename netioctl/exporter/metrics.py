"""Which metrics there are: names, labels and help, whoever takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Union

from netioctl import __version__
from netioctl.exporter.accounts import OTHER, Accounts, Counters, Key
from netioctl.render.words import printable

Value = Union[int, float]


class Metric(NamedTuple):
    """Samples by the values of `labels`. `name` as Prometheus has it, without `_total`."""

    name: str
    help: str
    counter: bool
    labels: tuple[str, ...]
    samples: Mapping[Key, Value]


#: Counters: what each is called in a sentence.
_COUNTERS = {
    "sent_bytes": "Bytes sent by",
    "received_bytes": "Bytes received by",
    "send_operations": "Operations that sent by",
    "receive_operations": "Operations that received by",
    "lost_events": "Live events that viewers lost in the kernel's buffer, and counters did not, of",
}
_PROCESS = ("pid", "comm", "user", "cgroup", "unit")


def from_accounts(accounts: Accounts) -> Iterator[Metric]:
    """What processes have moved; each family but that of selectors adds up to the first one."""
    processes: dict[Key, Counters] = dict(accounts.processes)
    processes[OTHER, "", "", "", ""] = accounts.other
    families: tuple[tuple[str, str, tuple[str, ...], Mapping[Key, Counters]], ...] = (
        ("", "all processes that are or were held", (), {(): accounts.total}),
        ("process_", "a process", _PROCESS, processes),
        ("cgroup_", "processes of a cgroup", ("cgroup", "unit"), accounts.cgroups.sums),
        ("program_", "processes of a name", ("comm",), accounts.programs.sums),
        ("user_", "processes of a user", ("user",), accounts.users.sums),
        ("selector_", "processes that a selector wants", ("selector",), accounts.selectors.sums),
    )
    for prefix, whose, labels, sums in families:
        for index, (name, what) in enumerate(_COUNTERS.items()):
            # The one over all has the daemon's own losses beside it.
            if prefix or name != "lost_events":
                samples = {key: counters[index] for key, counters in sums.items()}
                yield Metric(f"netio_{prefix}{name}", f"{what} {whose}.", True, labels, samples)


def lost(accounts: Accounts, status: Mapping[str, Any] | None) -> Metric:
    """Losses by where; those in the daemon are told to operators alone."""
    stages: dict[Key, Value] = {("kernel",): accounts.total.lost_events}
    if status is not None and isinstance(found := status.get("lost"), dict):
        stages["daemon",] = _number(found, "daemon")
    text = "Live events that were lost to viewers, by where; counters have them all the same."
    return Metric("netio_lost_events", text, True, ("stage",), stages)


def from_daemon(status: Mapping[str, Any] | None) -> Iterator[Metric]:
    """How the daemon does; None: it is away. Operators are told more by it than others."""
    yield _single("up", "Whether netiod answers.", int(status is not None))
    build: dict[Key, Value] = {(__version__,): 1}
    yield Metric("netio_build_info", "This exporter.", False, ("version",), build)
    if status is None:
        return
    backend = status.get("backend")
    facts = (
        status.get("version"),
        backend.get("name") if isinstance(backend, dict) else None,
        status.get("kernel"),
        status.get("arch"),
    )
    labels = ("version", "backend", "kernel", "arch")
    info: dict[Key, Value] = {tuple(printable(str(fact or "")) for fact in facts): 1}
    yield Metric("netio_daemon_info", "The daemon that answers.", False, labels, info)
    yield _single("uptime_seconds", "Seconds since netiod started.", _number(status, "uptime"))
    yield _single("held_processes", "Processes that are counted.", _number(status, "held"))
    yield _single("viewers", "Watches of processes.", _number(status, "viewers"))
    yield _single(
        "escaped_operations",
        "Operations of any process that the kernel's hooks are known to have missed.",
        _number(status, "missed"),
        counter=True,
    )
    if "events" in status:
        yield from _for_operators(status)


def _for_operators(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _single(
        "daemon_events", "Live events taken from the kernel.", _number(status, "events"), True
    )
    yield _single("connections", "Connections with a row.", _number(status, "connections"))
    yield _single("connections_limit", "Rows that there are.", _number(status, "max_connections"))
    memory: dict[Key, Value] = {}
    cpu: dict[Key, Value] = {}
    for each in status.get("processes") or ():
        # Gates of several users have names of their own; what they have in common is the kind.
        role = (str(each.get("role", "")).split()[0] if each.get("role") else "",)
        memory[role] = memory.get(role, 0) + _number(each, "rss")
        cpu[role] = cpu.get(role, 0.0) + _number(each, "cpu")
    yield Metric(
        "netio_daemon_resident_memory_bytes",
        "Resident memory of netiod's processes.",
        False,
        ("role",),
        memory,
    )
    # No counter: the CPU time of a gate that has ended is not in it any more.
    yield Metric(
        "netio_daemon_cpu_seconds", "CPU time of netiod's processes.", False, ("role",), cpu
    )


def _single(name: str, text: str, value: Value, counter: bool = False) -> Metric:
    return Metric(f"netio_{name}", text, counter, (), {(): value})


def _number(value: Any, name: str) -> Value:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else 0
