"""`netioctl exporter`: counters for Prometheus, or to an OpenTelemetry collector."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from netioctl import targets
from netioctl.client import Client
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import say
from netioctl.signals import Stop
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable, PrerequisiteError

if TYPE_CHECKING:
    from netioctl.answers import Held
    from netioctl.exporter.lease import Lease
    from netioctl.exporter.source import Source

#: Outside 9100 to 9999, where every port is some other exporter's.
DEFAULT_LISTEN = "127.0.0.1:19099"
#: Seconds after which the daemon is asked also where nobody wants to know: what a process
#: moved after the last look and before it was let go of is in no sum.
LOOK_EVERY = 10.0


@click.command(
    short_help="Serve counters to Prometheus or OpenTelemetry.",
    context_settings=options.PID_SETTINGS,
)
@options.kept_targets
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help=f"Where Prometheus finds /metrics ({DEFAULT_LISTEN}); :PORT is every IPv4 address.",
)
@click.option(
    "--otlp",
    metavar="[URL]",
    is_flag=False,
    flag_value="",
    help="Send to an OpenTelemetry collector instead, or with --listen also; "
    "http://127.0.0.1:4318/v1/metrics if OTEL_EXPORTER_OTLP_ENDPOINT names no other.",
)
@click.option(
    "--max-series",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    default=200,
    show_default=True,
    help="At most so many processes have series of their own, and as many cgroups, programs, "
    "users and selectors; the rest is summed up as `other`.",
)
@options.run_dir
def command(targets: Targets, listen: str | None, otlp: str | None, max_series: int) -> ExitStatus:
    """Serve the counters of processes to Prometheus at http://HOST:PORT/metrics: of all that are
    watched or added, as far as you may see them, or of those given here, which are then held.

    \b
    Examples:
      netioctl exporter                          all that is held
      netioctl exporter 1234                     count and serve this process
      netioctl exporter --name nginx             all of that name, now and later
      netioctl exporter --otlp                   to a collector on this machine
      curl http://127.0.0.1:19099/metrics

    Series: netio_process_* by process, netio_cgroup_* by cgroup and systemd unit,
    netio_program_* by name, netio_user_* by user, netio_selector_* by selector (name=nginx),
    and their sum: bytes and operations in both directions, and live events that viewers lost.
    Those by process go with it; the others stay, and never fall while the exporter runs.
    netio_up is 0 while the daemon is away.

    Whoever can connect sees what the user who runs this may see.
    """
    if otlp is None or listen is not None:
        listen = listen or DEFAULT_LISTEN
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Stop())
        source, lease = _source(targets, stop.descriptor, max_series)
        stack.callback(lease.close)
        stack.callback(source.close)
        urls = []
        # Last of all, so that what cannot be done is said before anything is served.
        if targets.pids or targets.selectors:
            try:
                if not lease.begin():
                    return ExitStatus.FAILURE
            except DaemonUnreachable as error:
                say(f"netioctl: {error}")
        if listen is not None:
            urls.append(_serve(listen, source, stack))
        if otlp is not None:
            urls.append(_push(otlp, source, stack))
        source.metrics()
        # An empty $(pgrep NAME) is no PID either: nobody should take this for what they asked for.
        every = "" if targets.pids or targets.selectors else " for all that are watched or added"
        say(f"{' and '.join(urls)}{every}; Ctrl+C ends")
        while not stop.asked:
            lease.turn(LOOK_EVERY)
            source.metrics(LOOK_EVERY)
    return ExitStatus.OK


def _source(wanted: Targets, wake: int, most: int) -> tuple[Source, Lease]:
    from netioctl.exporter.accounts import Accounts
    from netioctl.exporter.lease import Lease
    from netioctl.exporter.source import Source

    # Threads, which make the connections, know nothing of the command line.
    connect = functools.partial(Client, options.chosen_run_dir())
    lease = Lease(connect, wanted, wake, options.report)
    accounts = Accounts(most, targets.user, lease.place)
    if not (wanted.pids or wanted.selectors):
        return Source(connect, accounts, _any), lease
    return Source(connect, accounts, lease.chose, lambda _added: lease.choice), lease


def _any(_row: Held) -> bool:
    return True


def _serve(listen: str, source: Source, stack: contextlib.ExitStack) -> str:
    with _needs("prometheus_client", "python3-prometheus-client", "python3-prometheus_client"):
        from netioctl.exporter import prometheus
    server = prometheus.Server(*prometheus.parse(listen), source.metrics)
    stack.callback(server.close)
    return f"serving {server.url}"


def _push(endpoint: str, source: Source, stack: contextlib.ExitStack) -> str:
    with _needs("opentelemetry"):
        from netioctl.exporter import otlp
    pusher = otlp.Pusher(endpoint, source.metrics)
    stack.callback(pusher.close)
    return f"sending to {pusher.endpoint}"


@contextlib.contextmanager
def _needs(module: str, apt: str = "", dnf: str = "") -> Iterator[None]:
    """Say where to get `module` if it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module:
            raise
        extra = "exporter" if apt else "otlp"
        ways = [f"pip install 'netio[{extra}]'"]
        if apt:
            ways[:0] = [f"apt-get install {apt} (Debian, Ubuntu)", f"dnf install {dnf} (Fedora)"]
        raise PrerequisiteError(f"{module} is not installed: {', '.join(ways)}") from None
