"""The control connection: answers, errors, and what is not netiod."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netioctl import connecting
from netioctl.answers import Totals
from netioctl.client import PIDS_AT_ONCE, Client, run_directory
from netioctl.notices import Exited, Missed, Revoked
from netioctl.wire import PROTOCOL_VERSION
from netioctl.wire.errors import (
    Code,
    ConnectionLost,
    DaemonUnreachable,
    NetioError,
    NoSuchProcess,
    NotHeld,
    ProtocolError,
    RequestError,
    VersionMismatch,
)
from tests.unit.fake_daemon import FakeDaemon, running


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(1234).row("127.0.0.1:1", "127.0.0.1:2", sent_bytes=5, send_ops=1)
        daemon.process(1235, "nginx")
        yield daemon


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[Client]:
    with Client(daemon.run_dir, timeout=2.0) as client:
        yield client


def test_hello_is_said_first(daemon: FakeDaemon, client: Client) -> None:
    assert daemon.requests[0][0] == "hello"
    assert daemon.requests[0][1]["protocol"] == PROTOCOL_VERSION
    assert client.server.version == "0.1.0"


def test_watch(client: Client, daemon: FakeDaemon) -> None:
    answer = client.watch([1234, 99])
    assert answer.endpoint == daemon.endpoint
    assert [process.pid for process in answer.processes] == [1234]
    assert answer.processes[0].fresh
    assert [(failure.pid, failure.code) for failure in answer.errors] == [(99, -32001)]
    assert client.watch([99]).endpoint == ""


def test_add_and_remove(client: Client, daemon: FakeDaemon) -> None:
    assert client.add([1234]).processes[0].comm == "curl"
    assert client.remove([99]).errors[0].pid == 99
    assert [name for name, _ in daemon.requests] == ["hello", "add", "remove"]


def test_list(client: Client) -> None:
    rows = client.list()
    assert [row.process.comm for row in rows] == ["curl", "nginx"]
    assert rows[0].total == Totals(5, 0, 1, 0)


def test_summary(client: Client) -> None:
    answer = client.summary([1234, 1235, 7])
    assert answer.total == Totals(5, 0, 1, 0)
    assert [(row.pid, row.remote) for row in answer.rows] == [(1234, "127.0.0.1:2")]
    assert answer.complete
    assert answer.since == 1732384245.0
    assert [failure.pid for failure in answer.errors] == [7]


def test_a_summary_of_nothing_but_errors(client: Client) -> None:
    answer = client.summary([7])
    assert answer.total == Totals()
    assert answer.processes == ()


def test_answers_in_many_pieces(client: Client, daemon: FakeDaemon) -> None:
    process = daemon.processes[1234]
    process.rows = []
    for port in range(1000):
        process.rows.append({**_row(), "remote": f"10.0.0.1:{port}"})
    answer = client.summary([1234])
    assert [row.remote for row in answer.rows] == [f"10.0.0.1:{n}" for n in range(1000)]
    assert answer.total.sent_bytes == 1000


def _row() -> dict[str, object]:
    counters = dict.fromkeys(("sent_bytes", "recv_bytes", "send_ops", "recv_ops"), 1)
    return {"pid": 1234, "family": "inet", "proto": "tcp", "local": None, **counters}


def test_many_pids_are_asked_for_in_several_requests(client: Client, daemon: FakeDaemon) -> None:
    pids = range(10_000, 10_000 + 3 * PIDS_AT_ONCE + 1)
    for pid in pids:
        daemon.process(pid)
    assert [process.pid for process in client.watch(pids).processes] == list(pids)
    assert len([1 for name, _ in daemon.requests if name == "watch"]) == 4
    assert len(client.summary(pids).processes) == len(pids)


def test_status_is_passed_through(client: Client, daemon: FakeDaemon) -> None:
    daemon.answers["status"] = {"result": {"version": "9", "new": [1]}}
    assert client.status() == {"version": "9", "new": [1]}


def _notified(client: Client, count: int) -> list[Exited | Missed | Revoked]:
    told: list[Exited | Missed | Revoked] = []
    deadline = time.monotonic() + 5
    while len(told) < count and time.monotonic() < deadline:
        told += client.notifications()
    return told


def test_notifications(client: Client, daemon: FakeDaemon) -> None:
    assert client.notifications() == ()
    daemon.notify("exited", pid=1, start=2, time=3.5, published=4)
    daemon.notify("something new", x=1)
    daemon.notify("revoked", pid=5, start=6, reason="because")
    daemon.notify("missed", operations=12)
    assert _notified(client, 3) == [
        Exited(1, 2, 3.5, 4),
        Revoked(5, 6, "because"),
        Missed(12),
    ]


@pytest.mark.parametrize(("told", "known"), [(12, 12), (0, 0), (None, 0)])
def test_what_escaped_so_far(
    client: Client, daemon: FakeDaemon, told: int | None, known: int
) -> None:
    daemon.missed = told
    for pid in range(2000, 2000 + 2 * PIDS_AT_ONCE):
        daemon.process(pid)
    pids = sorted(daemon.processes)
    assert client.watch(pids).missed == known
    # Each part of the answer tells the same count, of all processes together.
    assert client.summary(pids).missed == known


def test_a_notification_before_an_answer_is_kept(client: Client, daemon: FakeDaemon) -> None:
    daemon.hooks["status"] = lambda: daemon.notify("exited", pid=1, start=2, time=3.5, published=4)
    client.status()
    assert client.notifications() == (Exited(1, 2, 3.5, 4),)


def test_what_came_before_the_end_is_told_before_the_end(
    client: Client, daemon: FakeDaemon
) -> None:
    client.status()
    daemon.notify("revoked", pid=5, start=6, reason="because")
    daemon.drop()
    assert _notified(client, 1) == [Revoked(5, 6, "because")]
    with pytest.raises(DaemonUnreachable, match="ended the connection"):
        client.notifications()


def test_what_can_be_asked_twice_is_asked_again(client: Client, daemon: FakeDaemon) -> None:
    """The broker died before it answered; there is the next."""

    def die() -> None:
        del daemon.hooks["list"]
        daemon.drop()

    daemon.hooks["list"] = die
    assert len(client.list()) == 2
    assert [name for name, _ in daemon.requests] == ["hello", "list", "hello", "list"]


@pytest.mark.parametrize("method", ["remove", "watch"])
def test_what_cannot_is_not(client: Client, daemon: FakeDaemon, method: str) -> None:
    client.watch([1234])
    daemon.hooks[method] = daemon.drop
    with pytest.raises(ConnectionLost):
        getattr(client, method)([1235])
    assert [name for name, _ in daemon.requests] == ["hello", "watch", method]


def test_a_lost_connection_is_renewed_without_waiting(client: Client, daemon: FakeDaemon) -> None:
    client.watch([1234])
    daemon.drop()
    with pytest.raises(ConnectionLost):
        client.status()
    release = threading.Event()
    daemon.hooks["hello"] = lambda: (release.wait(5), None)[1]
    client.renew()
    assert not client.greeted()
    release.set()
    deadline = time.monotonic() + 5
    while not client.greeted() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert client.watch([1234]).processes[0].pid == 1234


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.NO_SUCH_PROCESS, NoSuchProcess),
        (Code.NOT_HELD, NotHeld),
        (Code.INTERNAL_ERROR, RequestError),
        (-7, RequestError),
    ],
)
def test_error_answers(client: Client, daemon: FakeDaemon, code: int, kind: type) -> None:
    daemon.answers["add"] = {"error": {"code": code, "message": "why"}}
    with pytest.raises(kind, match=r"^why$"):
        client.add([1])


def test_a_refusal_that_answers_no_request(daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many"}}\n'
    )
    with pytest.raises(RequestError, match="too many"):
        Client(daemon.run_dir)


def test_another_protocol_version(daemon: FakeDaemon) -> None:
    daemon.answers["hello"] = {
        "result": {"protocol": 99, "version": "3.0", "layout": 1, "operator": False}
    }
    with pytest.raises(VersionMismatch, match=r"netiod 3\.0 speaks protocol 99"):
        Client(daemon.run_dir)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"x" * 200_000,
        b"\xff\xfe\n",
        b"[]\n",
        b"[" * 60000 + b"\n",
        b'{"id":1}\n',
        b'{"id":99,"result":{}}\n',
        b'{"id":"1","result":{}}\n',
        b'{"id":1,"result":[]}\n',
        b'{"id":1,"result":{"protocol":1}}\n',
        b'{"id":1,"result":{"protocol":true,"version":1,"layout":1,"operator":1}}\n',
        b'{"method":"rows","params":{"rows":5}}\n',
        b'{"method":"rows"}\n',
        b'{"method":"exited","params":{"pid":"x"}}\n',
        b'{"method":"exited","params":7}\n',
        b'{"method":"missed","params":{"operations":"x"}}\n',
        b'{"id":1,"error":{"code":"x"}}\n',
    ],
)
def test_garbage_is_an_error_of_ours(daemon: FakeDaemon, garbage: bytes) -> None:
    daemon.answers["hello"] = garbage
    with pytest.raises(NetioError) as caught:
        Client(daemon.run_dir, timeout=0.5)
    assert not isinstance(caught.value, DaemonUnreachable)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("watch", {"endpoint": "tcp://10.0.0.1:1", "processes": [{}], "errors": []}),
        ("watch", {"endpoint": None, "processes": 5, "errors": []}),
        ("add", {"processes": [{"pid": 1}], "errors": []}),
        ("add", {"processes": [], "errors": [{"pid": "x"}]}),
        ("add", {}),
        ("summary", {"total": {}, "processes": [], "errors": [], "complete": 1, "until": 1}),
    ],
)
def test_answers_of_wrong_types(
    client: Client, daemon: FakeDaemon, method: str, result: dict[str, object]
) -> None:
    daemon.answers[method] = {"result": result}
    with pytest.raises(ProtocolError):
        getattr(client, method)([1])


def test_a_stream_elsewhere_than_on_this_machine_is_refused(
    client: Client, daemon: FakeDaemon
) -> None:
    daemon.endpoint = "tcp://10.0.0.1:1"
    with pytest.raises(ProtocolError, match="no stream"):
        client.watch([1234])


def test_a_daemon_that_stays_silent(daemon: FakeDaemon) -> None:
    release = threading.Event()
    with Client(daemon.run_dir, timeout=0.2) as client:
        daemon.hooks["status"] = lambda: (release.wait(5), None)[1]
        began = time.monotonic()
        with pytest.raises(DaemonUnreachable, match=r"has not answered for 0\.2 s"):
            client.status()
        assert 0.1 < time.monotonic() - began < 2
        release.set()
        # The late answer is not taken for that to the next request.
        del daemon.hooks["status"]
        assert len(client.list()) == 2


def _lines(error: DaemonUnreachable) -> list[str]:
    lines = str(error).split("\n")
    assert 1 <= len(lines) <= 2
    return lines


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable) as caught:
        Client(tmp_path)
    first, second = _lines(caught.value)
    assert first == f"cannot reach netiod: {tmp_path}/control.sock does not exist"
    for part in ("not started", "systemctl status netiod", f"ls {tmp_path}", "--run-dir"):
        assert part in second


def test_a_socket_that_was_left_behind() -> None:
    with running() as daemon:
        daemon.close()
        with pytest.raises(DaemonUnreachable) as caught:
            Client(daemon.run_dir)
    first, second = _lines(caught.value)
    assert "nobody listens at" in first
    assert "crashed" in second


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "no permission to connect"),
        (errno.EPERM, "no permission to connect"),
        (errno.ENOTDIR, "does not exist"),
        (errno.EAGAIN, "has not taken the connection"),
        (errno.EPROTOTYPE, "Protocol wrong type"),
    ],
)
def test_other_reasons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, text: str
) -> None:
    def fail(_self: socket.socket, _path: str) -> None:
        raise OSError(number, os.strerror(number))

    class Refused(socket.socket):
        connect = fail  # type: ignore[assignment]

    monkeypatch.setattr(connecting.socket, "socket", Refused)
    with pytest.raises(DaemonUnreachable) as caught:
        Client(tmp_path)
    assert text in _lines(caught.value)[0]


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="at most 107 bytes"):
        Client(tmp_path / ("x" * 120))


def test_a_full_queue_is_waited_for() -> None:
    path = f"/tmp/netio-{os.getpid()}-queue"
    os.makedirs(path)
    listener = socket.socket(socket.AF_UNIX)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    try:
        listener.bind(f"{path}/control.sock")
        listener.listen(0)
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(f"{path}/control.sock")
        with pytest.raises(DaemonUnreachable, match="overloaded"):
            Client(path, timeout=0.2)
    finally:
        for each in [listener, *waiting]:
            each.close()
        os.unlink(f"{path}/control.sock")
        os.rmdir(path)


def test_the_run_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETIO_RUN_DIR", raising=False)
    assert run_directory() == "/run/netio"
    monkeypatch.setenv("NETIO_RUN_DIR", "/elsewhere")
    assert run_directory() == "/elsewhere"
    assert run_directory("/here") == "/here"
    assert run_directory(Path("/there")) == "/there"


def test_requests_are_json_rpc(daemon: FakeDaemon) -> None:
    with Client(daemon.run_dir) as client:
        client.sync([1234])
    assert daemon.requests[-1] == ("sync", {"pids": [1234]})
