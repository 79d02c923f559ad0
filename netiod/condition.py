"""How the daemon does: what the verb `status` answers."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from netioctl import __version__
from netioctl.wire import PROTOCOL_VERSION
from netiod import processes
from netiod.maps import MapError, ProgramInfo
from netiod.policy import Caller
from netiod.requests import Object

if TYPE_CHECKING:
    from netiod.broker import Broker

#: Where /proc hides other users' processes from the broker.
HIDDEN = (
    "processes of users: /proc is mounted with hidepid, and netiod can mount none of its own; "
    "remedy: mount -o remount,gid=netio /proc, and the same in /etc/fstab, then restart netiod"
)


def told_to(caller: Caller, broker: Broker) -> Object:
    """How the daemon does; more for operators."""
    visible = [h for h in broker.holdings.all(caller) if h.exited is None]
    answer: Object = {
        "version": __version__,
        "protocol": PROTOCOL_VERSION,
        "pid": broker.supervisor_pid,
        "uptime": time.time() - broker.started,
        "kernel": platform.release(),
        "arch": platform.machine(),
        "backend": broker.info["backend"],
        "privileges": broker.privileges(),
        "operator": caller.operator,
        "netlink": broker.settings.netlink,
        "held": len(visible),
        "viewers": sum(len(h.leases) for h in visible),
        "missed": broker.missed(),
    }
    if broker.hidden:
        answer["backend"] = {**answer["backend"], "blind": [*answer["backend"]["blind"], HIDDEN]}
    if caller.operator:
        answer.update(_for_operators(broker))
    return answer


def _for_operators(broker: Broker) -> Object:
    kernel = broker.kernel
    return {
        "events": broker.publisher.events,
        "lost": {
            "kernel": kernel.stat("EVENTS_LOST"),
            "daemon": broker.gates.dropped,
            "meta": kernel.stat("META_LOST"),
            "conns_full": kernel.stat("CONNS_FULL"),
            "chosen_full": kernel.stat("CHOSEN_FULL"),
            "missed": broker.missed(),
        },
        "ring_size": kernel.events.size,
        "max_pids": broker.settings.max_pids,
        "max_connections": broker.settings.max_connections,
        "connections": len(broker.connections),
        "run_dir": str(broker.settings.run_dir),
        "group": broker.settings.group,
        "processes": [_usage(role, pid) for role, pid in broker.daemon_processes()],
        "bpf": [_program(name, fd) for name, fd in kernel.programs.items()],
    }


def _usage(role: str, pid: int) -> Object:
    used = processes.usage(pid)
    rss, cpu = used if used else (None, None)
    return {"role": role, "pid": pid, "rss": rss, "pss": processes.pss(pid), "cpu": cpu}


def _program(name: str, fd: int) -> Object:
    try:
        info = ProgramInfo(fd)
    except MapError:
        return {"name": name, "run_time_ns": None, "run_cnt": None}
    counted = info.run_cnt > 0
    return {
        "name": name,
        "run_time_ns": info.run_time_ns if counted else None,
        "run_cnt": info.run_cnt if counted else None,
    }
