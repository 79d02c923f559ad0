"""A daemon for the client's tests: speaks the protocol, and does what a test tells it to."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import zmq

from netioctl.wire import PROTOCOL_VERSION, control, frames, layout
from netioctl.wire.endpoints import Connection
from netioctl.wire.errors import Code

ZERO = {"sent_bytes": 0, "recv_bytes": 0, "send_ops": 0, "recv_ops": 0}
SENDTO, RECVFROM = 10, 4


class Process:
    """A process as the fake knows it."""

    def __init__(self, pid: int, comm: str = "curl", *, uid: int | None = None) -> None:
        self.pid, self.comm = pid, comm
        self.uid = os.getuid() if uid is None else uid
        self.start = pid * 100
        self.since = 1732384245.0
        self.fresh = True
        self.attached = pid * 1000
        self.published = 0
        self.lost = 0
        self.rows: list[dict[str, Any]] = []
        self.added_by: int | None = None
        self.exited: float | None = None

    def row(self, local: str | None, remote: str | None, **counters: Any) -> None:
        """Set the counters of a connection."""
        new = {
            "pid": self.pid,
            "family": "inet",
            "proto": "tcp",
            "local": local,
            "remote": remote,
            **ZERO,
            **counters,
        }
        self.rows = [r for r in self.rows if (r["local"], r["remote"]) != (local, remote)]
        self.rows.append(new)

    def total(self) -> dict[str, int]:
        """The sum of the rows."""
        return {name: sum(row[name] for row in self.rows) for name in ZERO}

    def object(self) -> dict[str, Any]:
        """As it stands in answers."""
        return {
            "pid": self.pid,
            "start": self.start,
            "comm": self.comm,
            "uid": self.uid,
            "since": self.since,
            "topic": f"pid.{self.pid}.",
            "notice": None,
            "fresh": self.fresh,
            "attached": self.attached,
        }


class FakeDaemon:
    """Serves `run_dir` from threads until close()."""

    def __init__(self, run_dir: Path, *, high_water: int = 100_000) -> None:
        self.run_dir = run_dir
        self.processes: dict[int, Process] = {}
        self.epoch = 1
        self.replaced = 0
        self.wall_offset = 0
        self.layout = layout.load().fingerprint
        #: What it says where it is asked to describe a connection.
        self.connections: dict[int, Connection] = {}
        self.complete = True
        #: Operations that escaped the hooks so far; None: a daemon that does not tell.
        self.missed: int | None = 0
        #: Processes that have exited, so that they cannot be watched.
        self.gone: set[int] = set()
        #: Requests that came, and what is done before they are answered.
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.hooks: dict[str, Callable[[], None]] = {}
        #: Answers instead of the real ones: bytes are sent as they are.
        self.answers: dict[str, Any] = {}
        self.endpoint = f"ipc://{run_dir}/stream"
        self._event = layout.load().structs["event"]
        self._context = zmq.Context()
        self._pub = self._context.socket(zmq.PUB)
        self._pub.set(zmq.SNDHWM, high_water)
        self._pub.bind(self.endpoint)
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(run_dir / control.SOCKET_NAME))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """End everything, as if the daemon had crashed: the control socket's file stays."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(5)
        if self._pub.closed:
            return
        self._pub.close(0)
        self._context.term()

    def drop(self) -> None:
        """End every control connection that there is now; who comes back at once may stay."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process(self, pid: int, comm: str = "curl", **more: Any) -> Process:
        """Add a process that may be watched."""
        self.processes[pid] = Process(pid, comm, **more)
        return self.processes[pid]

    def event(self, **fields: int) -> bytes:
        """The bytes of one struct event."""
        values = {"time": 1732384245_123456789, "bytes": 512, "call": SENDTO, **fields}
        return self._event.pack(**values)

    def publish(self, pid: int, *events: bytes, entries: Sequence[frames.Entry] = ()) -> None:
        """Send events of a process in one frame."""
        self.send(self.frame(pid, b"".join(events), entries))

    def frame(self, pid: int, data: bytes, entries: Sequence[frames.Entry] = ()) -> bytes:
        """A frame; counts its events as published."""
        process, count = self.processes[pid], len(data) // self._event.size
        header = frames.Header(
            PROTOCOL_VERSION,
            0,
            self.layout,
            self.epoch,
            process.published,
            count,
            len(entries),
            process.start,
            pid,
            self.replaced,
            process.lost,
            self.wall_offset,
            process.comm.encode()[:16],
        )
        process.published += count
        packed = b"".join(map(frames.pack_entry, entries))
        return frames.topic(pid) + header.pack() + data + packed

    def send(self, frame: bytes) -> None:
        """Publish a frame."""
        with self._lock:
            self._pub.send(frame)

    def exit(self, pid: int) -> None:
        """The process has exited."""
        process = self.processes[pid]
        process.exited = time.time()
        self.notify(
            "exited",
            pid=pid,
            start=process.start,
            time=process.exited,
            published=process.published,
        )

    def miss(self, operations: int) -> None:
        """So many more operations escape the hooks, and every client is told."""
        self.missed = (self.missed or 0) + operations
        self.notify("missed", operations=self.missed)

    def _missed(self) -> dict[str, int]:
        return {} if self.missed is None else {"missed": self.missed}

    def notify(self, method: str, **params: Any) -> None:
        """Tell every client something."""
        line = control.encode(control.notification(method, params))
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.sendall(line)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                message = control.decode(line)
                method, params = message["method"], message["params"]
                self.requests.append((method, params))
                if method in self.hooks:
                    self.hooks[method]()
                answer = self.answers.get(method)
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                    continue
                for part in self._answer(message["id"], method, params):
                    connection.sendall(control.encode(part))

    def _answer(self, ident: int, method: str, params: dict[str, Any]) -> Iterator[Any]:
        if method in self.answers:
            yield {"jsonrpc": "2.0", "id": ident, **self.answers[method]}
            return
        good, errors = self._find(params.get("pids", []), self.gone if method == "watch" else ())
        base: dict[str, Any] = {"processes": [p.object() for p in good], "errors": errors}
        if method == "hello":
            base = {
                "protocol": PROTOCOL_VERSION,
                "version": "0.1.0",
                "layout": self.layout,
                "operator": False,
            }
        elif method == "watch":
            wanted = params.get("stream", True)
            base.update(epoch=self.epoch, replaced=self.replaced)
            base["endpoint"] = self.endpoint if good and wanted else None
            base.update(self._missed())
        elif method == "sync":
            for process in good:
                self.send(self.frame(process.pid, b""))
            base = {"published": {}}
        elif method == "describe":
            known = [n for n in params["ids"] if n in self.connections]
            yield from self._rows(
                ident, [{"id": n, **self.connections[n]._asdict()} for n in known]
            )
            base = {"count": len(known)}
        elif method == "list":
            rows = [
                {
                    **p.object(),
                    "added_by": p.added_by,
                    "viewers": 0,
                    "exited": p.exited,
                    "total": p.total(),
                }
                for p in self.processes.values()
            ]
            yield from self._rows(ident, rows)
            base = {"count": len(rows)}
        elif method == "summary":
            yield from self._rows(ident, [row for p in good for row in p.rows])
            base["processes"] = [
                {**p.object(), "published": p.published, "lost": p.lost} for p in good
            ]
            totals = [p.total() for p in good]
            base["total"] = {name: sum(total[name] for total in totals) for name in ZERO}
            base["complete"] = self.complete and not self.missed
            base.update(self._missed())
            base["since"] = min((p.since for p in good), default=None)
            base["until"] = time.time()
        yield control.response(ident, base)

    def _rows(self, ident: int, rows: list[dict[str, Any]]) -> Iterator[Any]:
        for at in range(0, len(rows), control.ROWS_A_LINE):
            piece = rows[at : at + control.ROWS_A_LINE]
            yield control.notification("rows", {"id": ident, "rows": piece})

    def _find(
        self, pids: list[int], gone: Collection[int]
    ) -> tuple[list[Process], list[dict[str, Any]]]:
        there = self.processes.keys() - set(gone)
        good = [self.processes[pid] for pid in pids if pid in there]
        errors = [
            {
                "pid": pid,
                "code": int(Code.NO_SUCH_PROCESS),
                "message": f"no process {pid} that you may watch",
            }
            for pid in pids
            if pid not in there
        ]
        return good, errors


def tcp_entry(
    ident: int, pid: int, local: tuple[str, int], remote: tuple[str, int]
) -> frames.Entry:
    """A connection entry for TCP over IPv4."""
    key = (
        layout.load()
        .structs["ident"]
        .pack(
            start=pid * 100,
            tgid=pid,
            family=int(socket.AF_INET),
            type=int(socket.SOCK_STREAM),
            proto=socket.IPPROTO_TCP,
            lport=local[1],
            rport=remote[1],
            laddr=socket.inet_aton(local[0]),
            raddr=socket.inet_aton(remote[0]),
        )
    )
    return frames.Entry(ident, 0, key, b"", b"")


@contextlib.contextmanager
def running(**more: Any) -> Iterator[FakeDaemon]:
    """A fake daemon in a directory whose path is short enough for a socket."""
    directory = Path(tempfile.mkdtemp(prefix="netio-"))
    daemon = FakeDaemon(directory, **more)
    try:
        yield daemon
    finally:
        daemon.close()
        shutil.rmtree(directory)
