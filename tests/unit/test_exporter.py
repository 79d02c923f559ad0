"""`netioctl exporter` with a daemon that does what a test says: scrapes, absence, bad input."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netioctl.client import Client
from netioctl.exporter import lease
from netioctl.exporter.accounts import Accounts
from netioctl.exporter.source import Source
from netioctl.procfs import place
from netioctl.targets import Targets
from netioctl.wire.errors import DaemonUnreachable
from tests.unit.fake_daemon import FakeDaemon, running

pytest.importorskip("prometheus_client")

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from netioctl.exporter import prometheus

TOP = Path(__file__).parents[2]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        evil = daemon.process(1234, 'a"b\\\n\x1b[31m\udce9')
        evil.row("127.0.0.1:1", "127.0.0.1:2", sent_bytes=2**53 - 1, send_ops=3)
        daemon.answers["status"] = {"result": {"version": "0.1.0", "missed": 5, "held": 1}}
        yield daemon


@pytest.fixture
def source(daemon: FakeDaemon) -> Iterator[Source]:
    accounts = Accounts(5, str, lambda row: place(row.process.pid))
    source = Source(lambda: Client(daemon.run_dir), accounts, lambda _row: True)
    yield source
    source.close()


@pytest.fixture
def server(source: Source) -> Iterator[prometheus.Server]:
    server = prometheus.Server("127.0.0.1", 0, source.metrics)
    yield server
    server.close()


def scrape(server: prometheus.Server, path: str = "/metrics") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Accept": "application/openmetrics-text"})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8")
    connection.close()
    return answer.status, text


def values(text: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_names_are_safe_and_numbers_exact(server: prometheus.Server) -> None:
    status, text = scrape(server)
    assert status == 200
    found = values(text, "netio_program_sent_bytes_total")
    assert found == {(("comm", 'a"b\\\\x0a\\x1b[31m\\xed\\xb3\\xa9'),): 2**53 - 1}
    assert values(text, "netio_escaped_operations_total") == {(): 5}


def test_many_who_ask_at_once_are_one_request(daemon: FakeDaemon, source: Source) -> None:
    # However long a busy machine takes for them.
    server = prometheus.Server("127.0.0.1", 0, lambda: source.metrics(fresh=3600.0))
    threads = [threading.Thread(target=scrape, args=(server,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()
    assert [method for method, _ in daemon.requests] == ["hello", "list", "status"]


def test_it_serves_on_while_the_daemon_is_away(
    daemon: FakeDaemon, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    def metrics() -> dict[str, float]:
        found = source.metrics(fresh=0)
        return {m.name: v for m in found if not m.labels for v in m.samples.values()}

    assert metrics()["netio_up"] == 1
    daemon.close()
    for _ in range(2):
        away = metrics()
        assert away["netio_up"] == 0
        assert away["netio_sent_bytes"] == 2**53 - 1
    said = capsys.readouterr().err
    assert said.count("cannot reach netiod") + said.count("ended the connection") == 1
    os.unlink(daemon.run_dir / "control.sock")
    back = FakeDaemon(daemon.run_dir)
    back.answers["status"] = {"result": {}}
    back.process(9).row("a", "b", sent_bytes=1)
    assert metrics()["netio_up"] == 1
    assert metrics()["netio_sent_bytes"] == 2**53
    assert capsys.readouterr().err == "netiod answers again\n"
    back.close()


def test_a_lease_that_breaks_off_is_taken_later(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RETRY", 0.0)
    wake, _write = os.pipe()
    taken = lease.Lease(lambda: Client(daemon.run_dir), Targets((1234,)), wake, list)
    daemon.hooks["watch"] = daemon.drop
    with pytest.raises(DaemonUnreachable):
        taken.begin()
    del daemon.hooks["watch"]
    taken.turn(0)
    with Client(daemon.run_dir) as client:
        (row,) = client.list()
    assert taken.chose(row)
    taken.close()
    os.close(wake)
    os.close(_write)


def test_who_stalls_or_hangs_up_does_not_stop_others(
    server: prometheus.Server, capfd: pytest.CaptureFixture[str]
) -> None:
    idle = [socket.create_connection(server.server_address[:2]) for _ in range(5)]
    for each in idle:
        each.sendall(b"GET /metrics HT")
    with socket.create_connection(server.server_address[:2]) as rude:
        rude.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert scrape(server)[0] == 200
    assert scrape(server, "/")[0] == 200
    assert scrape(server, "/other")[0] == 404
    for each in idle:
        each.close()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--listen", "9100"], 2, "not HOST:PORT: 9100"),
        (["--listen", "::1:9100"], 2, "an IPv6 address goes in brackets"),
        (["--listen", "127.0.0.1:70000"], 2, "not a port: 70000"),
        (["--listen", "no such host:1"], 2, "no such address to listen on"),
        (["--listen", "192.0.2.1:0"], 1, "this machine has no such address"),
        (["--listen", "USED"], 1, "another program does"),
        (["--max-series", "0"], 2, "--max-series"),
        (["4194304"], 1, "no such process: 4194304"),
        (["nginx"], 2, "not a PID: nginx"),
    ],
)
def test_bad_input(daemon: FakeDaemon, arguments: list[str], status: int, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        command = [sys.executable, "-m", "netioctl", "--run-dir", str(daemon.run_dir), "exporter"]
        done = subprocess.run(
            [*command, *(each.replace("USED", f"127.0.0.1:{port}") for each in arguments)],
            cwd=TOP,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr


def test_addresses() -> None:
    assert prometheus.parse("[::1]:0") == ("::1", 0)
    assert prometheus.parse(":19099") == ("", 19099)
    assert prometheus.parse("localhost:65535") == ("localhost", 65535)


@pytest.mark.parametrize("module", ["prometheus_client", "opentelemetry"])
def test_what_is_not_installed_is_said_in_one_line(daemon: FakeDaemon, module: str) -> None:
    option = "--otlp" if module == "opentelemetry" else "--listen=127.0.0.1:0"
    code = (
        f"import sys; sys.modules[{module!r}] = None; from netioctl.main import main; "
        f"sys.exit(main(['--run-dir', {str(daemon.run_dir)!r}, 'exporter', {option!r}]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"{module} is not installed: " in done.stderr
