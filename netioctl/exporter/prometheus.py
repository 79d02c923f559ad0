"""Metrics for Prometheus, over HTTP."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from netioctl.exporter.metrics import Metric
from netioctl.wire.errors import NetioError, UsageError

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

#: Requests that are served at a time; more wait.
MOST_AT_ONCE = 16
#: Seconds that a client may be silent in the middle of a request.
_SILENCE = 10.0
_PAGE = b"<html><title>netio</title><a href=/metrics>/metrics</a></html>\n"


class Collector:
    """What prometheus_client asks at each scrape."""

    def __init__(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        """Every metric with its samples."""
        for metric in self._metrics():
            kind = CounterMetricFamily if metric.counter else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in metric.samples.items():
                family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[Family]:
        """Nothing is known before it is asked for."""
        return ()


class Server(ThreadingMixIn, WSGIServer):
    """Serves /metrics at `host` and `port` (0: any that is free) until it is closed.

    Raises:
        UsageError: there is no such address.
        NetioError: it cannot be had.
    """

    daemon_threads = True
    # A restart shall not wait until the kernel has forgotten the connections before.
    allow_reuse_address = True

    def __init__(self, host: str, port: int, metrics: Callable[[], Iterable[Metric]]) -> None:
        self.address_family, address = _resolve(host, port)
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise NetioError(_why_not(host, port, error)) from error
        registry = CollectorRegistry()
        # It needs no more than collect(), whatever class the type says.
        registry.register(cast(Any, Collector(metrics)))
        self.set_app(_application(make_wsgi_app(registry)))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it; answers that are under way are not waited for."""
        self.shutdown()
        self.socket.close()

    @property
    def url(self) -> str:
        """Where metrics are to be had."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def server_bind(self) -> None:
        """Bind, without asking a name server for our own name as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "netio", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread, once there is a place."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hung up before the answer is nobody's concern."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE

    def log_message(self, *_arguments: Any) -> None:
        """Requests are not logged."""


def parse(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[ADDRESS]:PORT` or `:PORT` (every IPv4 address) as a pair.

    Raises:
        UsageError: it is none of them.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"not HOST:PORT: {text}; an IPv6 address goes in brackets: [::1]:9100")
    if not colon or not (port.isascii() and port.isdecimal() and len(port) <= 5):
        raise UsageError(
            f"not HOST:PORT: {text}; 127.0.0.1:9100 is, or :9100 for every IPv4 address"
        )
    if int(port) > 65535:
        raise UsageError(f"not a port: {port}; ports are 1 to 65535, or 0 for any that is free")
    return host, int(port)


def _resolve(host: str, port: int) -> tuple[Any, Any]:
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"no such address to listen on: {host}: {why}") from error
    return found[0][0], found[0][4]


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"cannot listen on {host or '*'}:{port}: "
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where}another program does (ss -ltnp 'sport = :{port}' shows which); "
            "choose another: --listen HOST:PORT"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}ports below 1024 take root; choose another: --listen HOST:PORT"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}this machine has no such address (ip address lists what it has)"
    return f"{where}{error.strerror or error}"


def _application(metrics: Any) -> Callable[[Any, Any], Iterable[bytes]]:
    def serve(environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        status = "200 OK" if path == "/" else "404 Not Found"
        start_response(status, [("Content-Type", "text/html; charset=utf-8")])
        return [_PAGE]

    return serve
