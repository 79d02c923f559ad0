"""The tables that a report can be written as, and their columns."""

from __future__ import annotations

#: Tables that csv and parquet can have, and their columns.
TABLES = {
    "connections": (
        "pid", "comm", "family", "proto", "local", "remote",
        "sent_bytes", "recv_bytes", "send_ops", "recv_ops",
    ),
    "processes": (
        "pid", "comm", "uid", "since", "exited",
        "sent_bytes", "recv_bytes", "send_ops", "recv_ops",
    ),
    "throughput": ("time", "seconds", "sent_bytes", "recv_bytes"),
    "events": (
        "time", "pid", "tid", "comm", "dir", "bytes",
        "family", "proto", "local", "remote", "call",
    ),
}  # fmt: skip
