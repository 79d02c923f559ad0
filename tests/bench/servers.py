"""Workloads that are servers: the server is watched and stays up, its load generator is started
anew for each run. All of it on loopback, with files in the scratch directory only.
"""

from __future__ import annotations

import contextlib
import csv
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.running import (
    BenchError,
    Unavailable,
    cpu_seconds,
    find,
    running,
    wait_until,
)
from tests.bench.workload import Run

#: Where `./netio bench` unpacks nginx, where it is not installed.
NGINX_UNPACKED = Path("/var/cache/netio/nginx/usr/sbin")
#: Seconds in which a server must listen, and beyond its time a load generator must end.
_PATIENCE = 30.0
_CONNECTIONS = 50
#: The requests by which redis-benchmark's speed is found: it runs for a number, not for a time.
_REDIS_TRIAL = 100_000

_NGINX_CONF = """\
daemon off;
# One process, which is the worker.
master_process off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_body_temp_path {scratch}/nginx-body;
    proxy_temp_path {scratch}/nginx-proxy;
    fastcgi_temp_path {scratch}/nginx-fastcgi;
    uwsgi_temp_path {scratch}/nginx-uwsgi;
    scgi_temp_path {scratch}/nginx-scgi;
    server {{ listen 127.0.0.1:{port}; root {scratch}/www; }}
}}
"""


class Answered(NamedTuple):
    """What a load generator says: requests that were answered, and how many a second."""

    requests: int
    rate: float


class Server:
    """A server in process `pid`; `load` makes requests for some seconds."""

    unit = "requests/s"

    def __init__(self, name: str, what: str, pid: int, load: Callable[[float], Answered]) -> None:
        self.name, self.what, self.pid = name, what, pid
        self._load = load

    def run(self, seconds: float) -> Run:
        """Have it answer requests for so long: a run of one slice, whose CPU is the server's."""
        cpu = cpu_seconds([self.pid])
        requests, rate = self._load(seconds)
        return Run(((requests, requests / rate, cpu_seconds([self.pid]) - cpu),))


@contextlib.contextmanager
def nginx(scratch: Path, size: int) -> Iterator[Server]:
    """nginx, whose responses have `size` bytes, and wrk.

    Raises:
        Unavailable: one of them is missing.
    """
    program, wrk = find("nginx", NGINX_UNPACKED), find("wrk")
    port = _free_port()
    (scratch / "www").mkdir(exist_ok=True)
    (scratch / "www" / "file").write_bytes(bytes(size))
    configuration = scratch / "nginx.conf"
    configuration.write_text(_NGINX_CONF.format(scratch=scratch, port=port))
    command = [program, *_early_log(program), "-p", str(scratch), "-c", str(configuration)]

    def load(seconds: float) -> Answered:
        # It counts in whole seconds.
        duration = max(1, round(seconds))
        options = ["-t1", f"-c{_CONNECTIONS}", f"-d{duration}s"]
        return wrk_says(_output([wrk, *options, f"http://127.0.0.1:{port}/file"], duration))

    with _listening("nginx", command, port, scratch) as pid:
        what = f"responses of {size:,} bytes"
        yield Server(f"nginx, {what}", f"nginx, {what}, asked by wrk", pid, load)


@contextlib.contextmanager
def redis(scratch: Path) -> Iterator[Server]:
    """redis-server without persistence, and redis-benchmark with pipelines of 16 commands.

    Raises:
        Unavailable: one of them is missing.
    """
    benchmark, port = find("redis-benchmark"), _free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(scratch)]
    options += ["--save", "", "--appendonly", "no", "--daemonize", "no"]

    def ask(requests: int) -> Answered:
        command = [benchmark, "-p", str(port), "-P", "16", "-c", str(_CONNECTIONS)]
        command += ["-t", "get", "-n", str(requests), "--csv"]
        return redis_benchmark_says(_output(command, _PATIENCE), requests)

    with _listening("redis-server", [*_redis_server(scratch), *options], port, scratch) as pid:
        expected = ask(_REDIS_TRIAL).rate
        yield Server(
            "redis",
            "redis-server, GET in pipelines of 16, asked by redis-benchmark",
            pid,
            lambda seconds: ask(round(expected * seconds)),
        )


def wrk_says(text: str) -> Answered:
    """What wrk's output tells.

    Raises:
        BenchError: something else than responses with status 200.
    """
    for trouble in re.findall(r"^ *(Socket errors: .*|Non-2xx or 3xx responses: .*)$", text, re.M):
        raise BenchError(f"wrk: {trouble}")
    requests = re.search(r"^ *(\d+) requests in ", text, re.M)
    rate = re.search(r"^Requests/sec: *([\d.]+)$", text, re.M)
    if not requests or not rate or not float(rate[1]):
        raise BenchError(f"wrk: no requests: {text!r}")
    return Answered(int(requests[1]), float(rate[1]))


def redis_benchmark_says(text: str, requests: int) -> Answered:
    """What the output of redis-benchmark --csv tells: "GET","requests a second",...

    Raises:
        BenchError: it tells nothing.
    """
    for row in csv.reader(text.splitlines()):
        if row and row[0] == "GET" and float(row[1]):
            return Answered(requests, float(row[1]))
    raise BenchError(f"redis-benchmark: no result: {text!r}")


def _early_log(program: str) -> list[str]:
    """Keeps nginx, before it has read its configuration, from the log of the system's own; older
    than 1.19.5 it has no such option."""
    return ["-e", "stderr"] if " -e filename" in _output([program, "-h"], 0) else []


def _redis_server(scratch: Path) -> list[str]:
    """How to start redis-server.

    Debian's package of that name starts a service; its package redis-tools starts nothing, and
    has the same program under another name. The program decides by its name what it is.
    """
    try:
        return [find("redis-server")]
    except Unavailable:
        same = scratch / "redis-server"
        if not same.is_symlink():
            with contextlib.suppress(Unavailable):
                same.symlink_to(find("redis-check-rdb"))
        if not same.exists():
            raise
        return [str(same)]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def _listening(name: str, command: list[str], port: int, scratch: Path) -> Iterator[int]:
    """The PID of a server that listens."""
    log = scratch / f"{name}.log"

    with (
        log.open("wb") as output,
        running(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process,
    ):

        def listens() -> bool:
            if process.poll() is not None:
                last = log.read_text(errors="replace").strip().split("\n")[-1]
                raise Unavailable(f"{name} ended with {process.returncode}: {last}")
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, _PATIENCE, f"{name} listens")
        yield process.pid


def _output(command: list[str], seconds: float) -> str:
    """What a load generator prints; it has to end by itself."""
    with running(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            text = process.communicate(timeout=seconds + _PATIENCE)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise BenchError(f"{Path(command[0]).name} did not end by itself") from None
        if process.returncode:
            raise BenchError(f"{Path(command[0]).name} ended with {process.returncode}: {text}")
        return str(text)
