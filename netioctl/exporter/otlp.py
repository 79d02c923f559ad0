"""Metrics to an OpenTelemetry collector, by OTLP over HTTP.

Data points are made here and not by the SDK's instruments, which keep every set of attributes that
they have ever seen: processes come and go.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from netioctl import __version__
from netioctl.exporter.metrics import Metric
from netioctl.output import say
from netioctl.wire.errors import UsageError

#: Seconds between two exports, unless OTEL_METRIC_EXPORT_INTERVAL (in ms) says otherwise.
INTERVAL = 60.0
#: Seconds that the last export may take.
LAST = 5.0
#: How OpenTelemetry says what the end of a name says to Prometheus, which adds it to the name.
_UNITS = {"_bytes": "By", "_seconds": "s"}


class Pusher:
    """Sends to `endpoint` ('' for where the environment says) from a thread, until close().

    Raises:
        UsageError: there can be no such endpoint, or the interval is none.
    """

    def __init__(self, endpoint: str, metrics: Callable[[], Iterable[Metric]]) -> None:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise UsageError(f"not a URL: {endpoint}; http://127.0.0.1:4318/v1/metrics is")
        self._interval = _interval()
        self._metrics = metrics
        self._began = time.time_ns()
        self._stop = threading.Event()
        _tell_in_one_line()
        self._exporter = OTLPMetricExporter(endpoint=endpoint or None)
        #: Where it goes.
        self.endpoint = endpoint or _endpoint()
        # Also has what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say.
        self._resource = Resource.create(
            {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "netio"}
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send once more, if that does not take long."""
        self._stop.set()
        self._thread.join(LAST)
        self._exporter.shutdown(timeout_millis=0)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(self._interval)
            self._exporter.export(self._data())

    def _data(self) -> sdk.MetricsData:
        now = time.time_ns()
        scope = sdk.ScopeMetrics(
            InstrumentationScope("netio", __version__),
            [self._convert(metric, now) for metric in self._metrics() if metric.samples],
            "",
        )
        return sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], "")])

    def _convert(self, metric: Metric, now: int) -> sdk.Metric:
        points = [
            sdk.NumberDataPoint(
                {name: label for name, label in zip(metric.labels, labels) if label},
                self._began,
                now,
                value,
            )
            for labels, value in metric.samples.items()
        ]
        data: sdk.Sum | sdk.Gauge = sdk.Gauge(points)
        if metric.counter:
            cumulative = sdk.AggregationTemporality.CUMULATIVE
            data = sdk.Sum(points, aggregation_temporality=cumulative, is_monotonic=True)
        name, unit = metric.name, ""
        for ending, known in _UNITS.items():
            if name.endswith(ending):
                name, unit = name[: -len(ending)], known
        return sdk.Metric(name.replace("_", "."), metric.help, unit, data)


def _endpoint() -> str:
    """Where the SDK finds it by itself."""
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318").rstrip("/")
    return os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{base}/v1/metrics")


def _interval() -> float:
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    if not text:
        return INTERVAL
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) <= 86_400_000:
        raise UsageError(f"OTEL_METRIC_EXPORT_INTERVAL is in milliseconds, 60000 say, not {text}")
    return int(text) / 1000


class _Lines(logging.Handler):
    """The SDK's troubles, each in one line, and the same one once until another comes."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        text = record.getMessage().splitlines()[0]
        if text != self._last:
            self._last = text
            say(f"netioctl: OTLP: {text}")


def _tell_in_one_line() -> None:
    log = logging.getLogger("opentelemetry")
    log.addHandler(_Lines())
    log.propagate = False
