"""`netioctl exporter`: counters of what is held, for Prometheus and OpenTelemetry."""
