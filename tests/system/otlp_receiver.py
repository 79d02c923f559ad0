"""An OpenTelemetry collector of a test's own: prints each sum and gauge it gets as a line of JSON.

Run by the interpreter that has opentelemetry-proto. Its first line is its URL.
"""

from __future__ import annotations

import gzip
import http.server
import json
from typing import Any

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = service.ExportMetricsServiceRequest.FromString(body)
        answer = service.ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        for resource in request.resource_metrics:
            of = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_metrics:
                points = [
                    _line(m, p) for m in scope.metrics for p in m.ListFields()[-1][1].data_points
                ]
                print(json.dumps({"resource": of, "points": points}), flush=True)

    def log_message(self, *_: Any) -> None:
        pass


def _data(metric: Any) -> Any:
    return getattr(metric, metric.WhichOneof("data"))


def _line(metric: Any, point: Any) -> dict[str, Any]:
    return {
        "name": metric.name,
        "unit": metric.unit,
        "monotonic": getattr(_data(metric), "is_monotonic", False),
        "value": getattr(point, point.WhichOneof("value")),
        "labels": {a.key: a.value.string_value for a in point.attributes},
    }


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/v1/metrics", flush=True)
server.serve_forever()
