"""Conditions that are programs of the distribution, started as their manuals say."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.context import Context
from tests.bench.rivals.attempt import reason
from tests.bench.running import Unavailable, find, running, settle, wait_until
from tests.bench.watcher import Condition, Seen, Watcher

_PATIENCE = 30.0
#: bpftrace and perf read descriptions of tracepoints from files that not every system mounts:
#: then in mounts of their own. After `sh`: the command, which keeps the process.
_WITH_TRACEFS = """\
cd /sys/kernel
[ -e tracing/events ] || mount -t tracefs tracefs tracing
[ -e debug/tracing/events ] || mount -t debugfs debugfs debug
exec "$@"
"""
_TRACEFS = ("unshare", "--mount", "sh", "-c", _WITH_TRACEFS, "sh")
_BPFTRACE_COUNT = """
tracepoint:sock:sock_send_length, tracepoint:sock:sock_recv_length
/pid == PID && args->ret > 0/ { @bytes[pid] = sum(args->ret); @events = count(); }
interval:ms:100 { print(@events); }
"""
_BPFTRACE_LINES = """
tracepoint:sock:sock_send_length, tracepoint:sock:sock_recv_length
/pid == PID && args->ret > 0/ { printf("%s %d %s %d\\n", probe, pid, comm, args->ret); }
"""
#: strace's class %network; perf has no name for it.
_NETWORK_CALLS = (
    "accept,accept4,bind,connect,getpeername,getsockname,getsockopt,listen,recvfrom,recvmmsg,"
    "recvmsg,sendmmsg,sendmsg,sendto,setsockopt,shutdown,socket,socketpair"
)
#: Where Fedora keeps BCC's tools.
_BCC_TOOLS = Path("/usr/share/bcc/tools")
_KPROBES = Path("/sys/bus/event_source/devices/kprobe")

Process = subprocess.Popen[Any]


@contextlib.contextmanager
def _tool(
    context: Context,
    command: list[str],
    is_ready: Callable[[Process, Path], Any],
    output: Path | None = None,
) -> Iterator[Process]:
    """Have a tool run, and ready; its output goes to a file, or nowhere."""
    log = context.scratch / "tool.log"
    with (
        log.open("wb") as errors,
        (output or Path(os.devnull)).open("wb") as out,
        running(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors) as process,
    ):

        def ready() -> bool:
            if process.poll() is not None:
                said = "\n".join(each.read_text(errors="replace") for each in (output, log) if each)
                raise Unavailable(reason(said))
            return bool(is_ready(process, log))

        wait_until(ready, _PATIENCE, f"{command[0]} is ready")
        yield process


@contextlib.contextmanager
def _bpftrace_count(context: Context, pid: int) -> Iterator[Watcher]:
    program = _BPFTRACE_COUNT.replace("PID", str(pid))
    output = context.scratch / "bpftrace.out"

    def seen() -> Seen:
        return Seen(last_count(output.read_text()))

    # Its interval comes after its tracepoints: once that runs, they are attached.
    def ready(_process: Process, _log: Path) -> bool:
        return "@events" in output.read_text()

    command = [*_TRACEFS, find("bpftrace"), "-e", program]
    with _tool(context, command, ready, output) as process:
        yield Watcher((process.pid,), seen)


def last_count(text: str) -> int:
    """What bpftrace printed last of its counter, which begins at 0 and has no line until then."""
    lines = [line for line in text.splitlines() if line.startswith("@events: ")]
    return int(lines[-1].split()[1]) if lines else 0


@contextlib.contextmanager
def _bpftrace_lines(context: Context, pid: int) -> Iterator[Watcher]:
    program = _BPFTRACE_LINES.replace("PID", str(pid))
    command = [*_TRACEFS, find("bpftrace"), "-e", program]
    with _tool(context, command, _has_events) as process:
        settle(process.pid)
        yield Watcher((process.pid,))


@contextlib.contextmanager
def _strace(context: Context, pid: int) -> Iterator[Watcher]:
    traced = Path(f"/proc/{pid}/status")

    def ready(process: Process, _log: Path) -> bool:
        return f"TracerPid:\t{process.pid}\n" in traced.read_text()

    command = [find("strace"), "-f", "-e", "trace=network", "-o", os.devnull, "-p", str(pid)]
    with _tool(context, command, ready) as process:
        yield Watcher((process.pid,))


@contextlib.contextmanager
def _perf_trace(context: Context, pid: int) -> Iterator[Watcher]:
    command = [*_TRACEFS, find("perf"), "trace", "-e", _NETWORK_CALLS, "-o", os.devnull]
    with _tool(context, [*command, "-p", str(pid)], _has_events) as process:
        settle(process.pid)
        yield Watcher((process.pid,))


@contextlib.contextmanager
def _tcptop(context: Context, pid: int) -> Iterator[Watcher]:
    output = context.scratch / "tcptop.out"
    try:
        program = find("tcptop-bpfcc")
    except Unavailable:
        program = find("tcptop", _BCC_TOOLS)
    command = ["env", "PYTHONUNBUFFERED=1", program, "-C", "-p", str(pid), "1"]

    def ready(_process: Process, _log: Path) -> bool:
        return "Tracing..." in output.read_text()

    try:
        with _tool(context, command, ready, output) as process:
            yield Watcher((process.pid,))
    except Unavailable as why:
        if _KPROBES.exists():
            raise
        raise Unavailable(f"this kernel has no kprobes; tcptop says: {why}") from why


@contextlib.contextmanager
def _nethogs(context: Context, _pid: int) -> Iterator[Watcher]:
    output = context.scratch / "nethogs.out"

    def ready(_process: Process, _log: Path) -> bool:
        return "Refreshing:" in output.read_text(errors="replace")

    # -C: UDP too. -a: loopback too, even where it is named.
    with _tool(context, [find("nethogs"), "-t", "-C", "-a", "lo"], ready, output) as process:
        yield Watcher((process.pid,))


def _has_events(process: Process, _log: Path) -> bool:
    """Whether a process has opened events for perf."""
    directory = f"/proc/{process.pid}/fd"
    with contextlib.suppress(OSError):  # it closes one meanwhile
        links = (os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory))
        return any("[perf_event]" in link for link in links)
    return False


TOOLS = (
    Condition("bpftrace-count", "bpftrace, counting in maps", _bpftrace_count),
    Condition("bpftrace-lines", "bpftrace, printing a line an event", _bpftrace_lines),
    Condition("strace", "strace -f -e trace=network", _strace),
    Condition("perf-trace", "perf trace, network calls", _perf_trace),
    Condition("tcptop", "tcptop of BCC", _tcptop),
    Condition("nethogs", "nethogs on loopback", _nethogs),
)
