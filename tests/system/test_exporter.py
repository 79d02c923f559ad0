"""`netioctl exporter` with a real daemon: scrapes have the traffic's own numbers, to the byte."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl import cgroups
from tests.system.conftest import (
    ALICE,
    BOB,
    PATIENCE,
    TOP,
    Daemon,
    StartDaemon,
    StartTraffic,
    wait_until,
)
from tests.system.test_selectors import COUNT, SIZE, crowd

pytest.importorskip("prometheus_client")

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

VENV = TOP / ".venv" / "bin" / "python"
Scrape = dict[str, dict[frozenset[tuple[str, str]], float]]


class Exporter:
    """A running exporter."""

    def __init__(
        self,
        daemon: Daemon,
        *arguments: Any,
        uid: int | None = None,
        python: str = sys.executable,
        **environment: str,
    ) -> None:
        command = daemon.command("exporter", *arguments, uid=uid)
        command[command.index(sys.executable)] = python
        self.process = subprocess.Popen(
            command,
            cwd=TOP,
            env={**daemon.environment, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        self.url = re.findall(r"http://\S+/metrics", self.said)

    def scrape(self, accept: str = "application/openmetrics-text") -> Scrape:
        """Every sample by name and labels, at most a second old."""
        (url, *_) = self.url
        request = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10 * PATIENCE) as answer:
            text = answer.read().decode()
        parse: Callable[[str], Any] = text_string_to_metric_families
        if accept.startswith("application/openmetrics"):
            parse = openmetrics.text_string_to_metric_families
        found: Scrape = {}
        for family in parse(text):
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                assert labels not in found.setdefault(sample.name, {})
                found[sample.name][labels] = sample.value
        return found

    def until(self, condition: Callable[[Scrape], Any]) -> Scrape:
        """The first scrape for which `condition` is true."""
        last: Scrape = {}

        def look() -> bool:
            nonlocal last
            last = self.scrape()
            return bool(condition(last))

        wait_until(look, 10, "the scrape is as expected")
        return last

    def end(self) -> tuple[int, str]:
        """SIGTERM; the exit status, and what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=20 * PATIENCE)
        return self.process.returncode, err


@pytest.fixture
def export(daemon: Daemon) -> Iterator[Callable[..., Exporter]]:
    started: list[Exporter] = []

    def start(*arguments: Any, **more: Any) -> Exporter:
        started.append(Exporter(daemon, *arguments, **more))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def one(scrape: Scrape, name: str, **labels: str) -> float:
    """The value of the one sample with these labels."""
    found = [v for have, v in scrape[name].items() if frozenset(labels.items()) <= have]
    assert len(found) == 1, (name, labels, scrape[name])
    return found[0]


def names_and_labels(scrape: Scrape) -> dict[str, set[str]]:
    return {
        name: {label for labels in samples for label, _ in labels}
        for name, samples in scrape.items()
    }


def test_scrapes_are_exact_and_bounded(
    daemon: Daemon, traffic: StartTraffic, export: Callable[..., Exporter]
) -> None:
    kinds = ("udp_echo",), ("tcp", "4"), ("stream", 500, 100)
    working = [traffic(*kind) for kind in kinds]
    assert daemon.ctl("add", *(each.pid for each in working)).returncode == 0
    exporter = export("--listen", "127.0.0.1:0", "--max-series", 2)
    said = [each.run() for each in working]
    sent, recv = (sum(each[name] for each in said) for name in ("sent", "recv"))

    found = exporter.until(lambda s: one(s, "netio_sent_bytes_total") == sent)
    assert one(found, "netio_received_bytes_total") == recv
    assert one(found, "netio_escaped_operations_total") == 0
    series = found["netio_process_sent_bytes_total"]
    assert len(series) == 3
    assert sum(series.values()) == sent
    # The one that moved most is not in `other`.
    assert one(found, "netio_process_sent_bytes_total", pid=str(working[2].pid)) == 50_000
    cgroup = Path(f"/proc/{working[2].pid}/cgroup").read_text().rpartition(":")[2].strip()
    assert one(found, "netio_cgroup_sent_bytes_total", cgroup=cgroup) == sent
    assert one(found, "netio_user_received_bytes_total", user="root") == recv
    comm = Path(f"/proc/{working[2].pid}/comm").read_text().strip()
    assert one(found, "netio_program_sent_bytes_total", comm=comm) == sent
    old = exporter.scrape("text/plain")
    assert one(old, "netio_program_sent_bytes_total", comm=comm) == sent

    # What has gone stays in all sums but its own.
    for each in working:
        each.end()
        assert daemon.ctl("remove", each.pid).returncode in (0, 1)
    daemon.stop()
    away = exporter.until(lambda s: one(s, "netio_up") == 0)
    assert one(away, "netio_program_sent_bytes_total", comm=comm) == sent
    again = Daemon(daemon.run_dir)
    try:
        assert again.ctl("add", os.getpid()).returncode == 0
        back = exporter.until(lambda s: one(s, "netio_up") == 1)
        assert one(back, "netio_sent_bytes_total") >= sent
        status, err = exporter.end()
    finally:
        again.kill()
    assert status == 0
    assert "netiod answers again" in err
    assert "Traceback" not in err


def test_it_is_an_ordinary_client(
    daemon: Daemon, traffic: StartTraffic, export: Callable[..., Exporter]
) -> None:
    alices, bobs = traffic("unix_pair", uid=ALICE), traffic("unix_pair", uid=BOB)
    assert daemon.ctl("add", bobs.pid).returncode == 0
    exporter = export("--listen", "127.0.0.1:0", alices.pid, uid=ALICE)
    assert exporter.said == f"serving {exporter.url[0]}; Ctrl+C ends\n"
    (held,) = (row for row in daemon.json("list") if row["pid"] == alices.pid)
    assert (held["viewers"], held["added_by"]) == (1, None)
    bobs.run()
    alices.run()
    found = exporter.until(lambda s: one(s, "netio_sent_bytes_total") == 10)
    assert {dict(labels)["user"] for labels in found["netio_user_sent_bytes_total"]} == {str(ALICE)}
    assert one(found, "netio_process_sent_bytes_total", pid=str(alices.pid)) == 10
    assert dict(found["netio_lost_events_total"]) == {frozenset({("stage", "kernel")}): 0}
    assert exporter.end() == (0, "")
    wait_until(lambda: [row["pid"] for row in daemon.json("list")] == [bobs.pid])
    refused = daemon.ctl("exporter", "--listen", "127.0.0.1:0", bobs.pid, uid=ALICE)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)


@pytest.mark.faults
def test_what_it_holds_it_holds_again_with_the_next_daemon(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    daemon = start_daemon()
    working = traffic("unix_pair")
    exporter = Exporter(daemon, "--listen", "127.0.0.1:0", working.pid)
    try:
        working.run()
        exporter.until(lambda s: one(s, "netio_sent_bytes_total") == 10)
        daemon.process.kill()
        daemon.process.wait()
        daemon = start_daemon(run_dir=daemon.run_dir)
        wait_until(lambda: any(row["viewers"] for row in daemon.json("list")), 20)
        working.run()
        exporter.until(lambda s: one(s, "netio_sent_bytes_total") == 20)
        assert exporter.end()[0] == 0
    finally:
        exporter.process.kill()
        exporter.process.communicate()


def by_selector(scrape: Scrape) -> dict[str, float]:
    found = scrape["netio_selector_sent_bytes_total"]
    return {dict(labels)["selector"]: value for labels, value in found.items()}


@pytest.fixture
def cgroup() -> Iterator[Path]:
    place = Path(cgroups._root()) / "netiotest-exporter.slice"
    place.mkdir(exist_ok=True)
    yield place
    place.rmdir()


def test_sums_by_selector(daemon: Daemon, export: Callable[..., Exporter], cgroup: Path) -> None:
    """Processes that are gone in a moment, and that several selectors want."""
    with crowd("flash") as many, crowd("other") as others:
        for each in (many, others):
            (cgroup / "cgroup.procs").write_text(str(each.pid))
        where = f"/{cgroup.name}"
        options = ("--listen", "127.0.0.1:0")
        exporter = export(*options, "--name", "flash", "--cgroup", where, "--name", "no-such")
        assert set(by_selector(exporter.scrape()).values()) == {0}
        many.run()
        others.run()
        expected = {
            "name=flash": COUNT * SIZE,
            f"cgroup={where}": 2 * COUNT * SIZE,
            "name=no-such": 0,
        }
        found = exporter.until(lambda s: by_selector(s) == expected)
        assert one(found, "netio_sent_bytes_total") == 2 * COUNT * SIZE
        name = "netio_selector_send_operations_total"
        assert one(found, name, selector="name=flash") == COUNT
    # They have exited, and nothing falls, with the next netiod neither.
    daemon.stop()
    away = exporter.until(lambda s: one(s, "netio_up") == 0)
    assert by_selector(away) == expected
    again = Daemon(daemon.run_dir)
    try:
        exporter.until(lambda s: one(s, "netio_up") == 1)
        assert by_selector(exporter.scrape()) == expected
    finally:
        again.kill()
    assert "Traceback" not in exporter.end()[1]


def test_sums_of_children_that_are_followed(export: Callable[..., Exporter]) -> None:
    with crowd("child", COUNT, SIZE, "double") as many:
        exporter = export("--listen", "127.0.0.1:0", "--follow", "--name", "child", many.pid)
        many.run()
        found = exporter.until(lambda s: one(s, "netio_sent_bytes_total") == COUNT * SIZE)
        # The selector wants them by their name, whosever children they are.
        assert by_selector(found) == {"name=child": COUNT * SIZE}


def test_sums_by_selectors_that_were_added(
    cgroup: Path, daemon: Daemon, traffic: StartTraffic, export: Callable[..., Exporter]
) -> None:
    alices, bobs = traffic("unix_pair", uid=ALICE), traffic("unix_pair", uid=BOB)
    (cgroup / "cgroup.procs").write_text(str(bobs.pid))
    comm = Path(f"/proc/{bobs.pid}/comm").read_text().strip()
    add = ("add", "--name", comm)
    assert daemon.ctl(*add, uid=ALICE).returncode == 0
    assert daemon.ctl("add", "--cgroup", str(cgroup), "--user", BOB).returncode == 0
    exporter = export("--listen", "127.0.0.1:0")
    wanted = {f"name={comm}": 10, f"cgroup=/{cgroup.name}": 10, f"user={BOB}": 10}
    alices.run()
    bobs.run()
    # What alice added is of her own processes.
    exporter.until(lambda s: by_selector(s) == wanted)
    assert daemon.ctl("remove", "--name", comm, uid=ALICE).returncode == 0
    assert by_selector(exporter.scrape())[f"name={comm}"] == 10


# --- the dashboard --------------------------------------------------------------------------------

_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of a PromQL expression, with the labels that are matched or grouped by."""
    grouped = {
        label.strip()
        for labels in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression)
        for label in labels.split(",")
    }
    rest = re.sub(r"\b(?:by|without)\s*\([^)]*\)", " ", expression)
    rest = re.sub(r"\[[^]]*\]|\$\w+", " ", rest)
    for found in _SELECTOR.finditer(rest):
        name, matched = found[1], found[2] or ""
        if rest[found.end() :].lstrip().startswith("(") or name in _WORDS:
            continue
        yield name, grouped | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matched))


def test_selectors() -> None:
    expression = 'topk($top, sum by (a, b) (rate(m_total{c=~"$c",d!="x"}[$__rate_interval]))) / -n'
    assert list(selectors(expression)) == [("m_total", {"a", "b", "c", "d"}), ("n", {"a", "b"})]


def test_the_dashboard_asks_for_what_there_is(
    daemon: Daemon, traffic: StartTraffic, export: Callable[..., Exporter]
) -> None:
    board = json.loads((TOP / "contrib" / "grafana" / "netio.json").read_text())
    panels = board["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    variables = {each["name"]: each for each in board["templating"]["list"]}
    for variable in variables.values():
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            expressions.append(f"sum by ({found[2]}) ({found[1]})")
    assert len(expressions) > 20
    working = traffic("unix_pair")
    assert daemon.ctl("add", working.pid, "--user", "root").returncode == 0
    there = names_and_labels(export("--listen", "127.0.0.1:0").scrape())
    for expression in expressions:
        used = list(selectors(expression))
        assert used
        for name, labels in used:
            assert name in there, expression
            # Prometheus itself adds this one.
            assert labels - {"instance"} <= there[name], expression
        for name in re.findall(r"\$(\w+)", expression):
            assert name in variables or name.startswith("__"), expression
    page = (TOP / "docs" / "PROMETHEUS.md").read_text()
    named = set(re.findall(r"`(netio_\w+)`", page))
    # One family stands for those that have the same five.
    shown = {re.sub("_(cgroup|program|user|selector)_", "_process_", name) for name in there}
    assert {
        re.sub("_(cgroup|program|user|selector)_", "_process_", name) for name in named
    } == shown
    for panel in panels:
        for target in panel["targets"]:
            known = there[next(selectors(target["expr"]))[0]]
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known
    # Panels lie side by side, not upon each other.
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


# --- OpenTelemetry --------------------------------------------------------------------------------


def test_otlp(daemon: Daemon, traffic: StartTraffic, export: Callable[..., Exporter]) -> None:
    probe = [str(VENV), "-c", "import opentelemetry.exporter.otlp.proto.http, zmq"]
    if (
        not VENV.exists()
        or subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode
    ):
        pytest.skip("OpenTelemetry's SDK is not in .venv: sudo ./netio test puts it there")
    with contextlib.ExitStack() as stack:
        receiver = subprocess.Popen(
            [str(VENV), str(Path(__file__).with_name("otlp_receiver.py"))],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(receiver.communicate)
        stack.callback(receiver.kill)
        assert receiver.stdout is not None
        url = receiver.stdout.readline().strip()
        working = traffic("udp_echo", uid=ALICE)
        assert daemon.ctl("add", working.pid, "--user", ALICE).returncode == 0
        said = working.run()
        # Within its time there is just the last export, which the end makes it send.
        exporter = export(f"--otlp={url}", python=str(VENV), OTEL_METRIC_EXPORT_INTERVAL="3600000")
        assert exporter.said == f"sending to {url} for all that are watched or added; Ctrl+C ends\n"
        assert exporter.end() == (0, "")
        received = json.loads(receiver.stdout.readline())
    assert received["resource"]["service.name"] == "netio"
    points = {(p["name"], p["labels"].get("pid")): p for p in received["points"]}
    own = points["netio.process.sent", str(working.pid)]
    assert (own["value"], own["unit"], own["monotonic"]) == (said["sent"], "By", True)
    assert own["labels"]["user"] == str(ALICE)
    assert points["netio.received", None]["value"] == said["recv"]
    chose = points["netio.selector.sent", None]
    assert (chose["value"], chose["labels"]) == (said["sent"], {"selector": f"user={ALICE}"})
    assert points["netio.up", None] == {
        "name": "netio.up",
        "unit": "",
        "monotonic": False,
        "value": 1,
        "labels": {},
    }
