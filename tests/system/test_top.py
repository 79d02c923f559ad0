"""`netioctl top` on a terminal, with a real daemon and real traffic."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.screens import DOWN, END, ENTER, ESCAPE, Terminal
from tests.system.conftest import ALICE, PATIENCE, TOP, Daemon, StartTraffic

Start = Callable[..., Terminal]
#: Operations a second of `paced`: half of them send 64 bytes, half receive them.
RATE = 2000
BYTES = RATE // 2 * 64


@pytest.fixture
def start(daemon: Daemon) -> Iterator[Start]:
    started = []

    def start(*arguments: Any, uid: int | None = None, **environment: str) -> Terminal:
        every = {**daemon.environment, **environment}
        command = daemon.command("top", *arguments, uid=uid)
        started.append(Terminal(command, every, cwd=TOP))
        return started[-1]

    yield start
    for one in started:
        one.close()


def _rates(values: list[dict[str, Any]], direction: str) -> list[float]:
    return [value["rate"][f"{direction}_bytes"] for value in values]


def test_rates_are_those_of_the_traffic(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("paced", RATE, 30)
    one.start()
    rows = daemon.json("top", "--count", 4, "--interval", 0.5, one.pid)
    assert [row["pid"] for row in rows] == [one.pid] * 4
    for direction in ("send", "recv"):
        counted = [row["total"][f"{direction}_ops"] for row in rows]
        assert counted == sorted(counted)
    # The first interval may have begun before the traffic did.
    for rate in (*_rates(rows[1:], "sent"), *_rates(rows[1:], "recv")):
        assert rate == pytest.approx(BYTES, rel=0.1 * PATIENCE)
    grown = rows[3]["total"]["sent_bytes"] - rows[1]["total"]["sent_bytes"]
    between = rows[3]["time"] - rows[1]["time"]
    # The same counters, so this is arithmetic alone.
    shown = sum(_rates(rows[2:], "sent")) / 2
    assert grown / between == pytest.approx(shown, rel=0.02)


def test_rows_of_connections_are_those_that_the_summary_has(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    one = traffic("short_connections", 20)
    daemon.ctl("add", one.pid)
    said = one.run()
    rows = daemon.json("top", "--count", 1, "--interval", 0.2, "-c", "--sort", "total", one.pid)
    assert sum(row["total"]["sent_bytes"] for row in rows) == said["sent"]
    names = ("family", "proto", "local", "remote")
    summary = daemon.summary(one.pid)["connections"]
    expected = {tuple(row[name] for name in names) for row in summary}
    assert {tuple(row[name] for name in names) for row in rows} == expected


def test_ten_thousand_connections(daemon: Daemon, traffic: StartTraffic, start: Start) -> None:
    one = traffic("many_peers", 10_000)
    screen = start("--connections", "--sort", "connection", "--interval", 0.2, one.pid)
    screen.until("0 connections of 1 process")
    said = one.run()
    screen.until("10,000 connections of 1 process")
    screen.press(END)
    screen.until("-> 127.1.9.99:9")
    assert screen.end("q") == 0
    daemon.ctl("add", one.pid)
    one.run()
    # What ended with the screen is counted anew, all of it in rows.
    rows = daemon.json("top", "-c", "--count", 1, "--interval", 0.2, one.pid)
    assert sum(row["total"]["sent_bytes"] for row in rows) == said["sent"]
    assert len(rows) == 10_000


def test_a_session_of_someone_who_looks_around(traffic: StartTraffic, start: Start) -> None:
    fast, slow = traffic("paced", RATE, 60), traffic("udp_echo", 3)
    evil = traffic("rename", "ev\x1b[2J\x1b]0;t\x07il")
    evil.run()
    screen = start("--interval", 0.2, fast.pid, slow.pid, evil.pid)
    screen.until("3 processes")
    said = slow.run()
    fast.start()
    screen.until(lambda: screen.lines[4].split()[0] == str(fast.pid))
    screen.until("ev\\x1b[2J\\x1b]…")
    assert b"\x1b[2J\x1b]0" not in screen.sent
    assert all(len(line) <= 80 for line in screen.lines)

    # Pause: nothing moves until it goes on.
    screen.press("p")
    screen.until("PAUSED")
    frozen = screen.lines[4]
    screen.press("s", "<")
    screen.until(lambda: "PAUSED" in screen.text and screen.lines[4] == frozen)
    screen.press("p")
    screen.until(lambda: "PAUSED" not in screen.text and screen.lines[4] != frozen)

    # Filter, then one process's connections.
    screen.press("/", *str(slow.pid), ENTER)
    screen.until(f"1 process, filter: {slow.pid}")
    screen.press(ENTER)
    screen.until(f"connections of {slow.pid}")
    screen.until(f"{said['server']} -> {said['client']}")
    screen.resize(120, 10)
    screen.until(lambda: "OPS/s" in screen.lines[3] and len(screen.lines) == 10)
    screen.resize(80, 24)
    screen.until("RATE")
    screen.press(ESCAPE)
    screen.until(f"1 process, filter: {slow.pid}")
    screen.press(ESCAPE)
    screen.until("3 processes")

    # An exit is seen.
    slow.end()
    screen.until("(exited)")
    screen.press(DOWN, "c")
    screen.until("connections of 2 processes")
    assert screen.end("q") == 0


def test_where_pgrep_finds_nothing_it_says_what_it_shows(
    daemon: Daemon, traffic: StartTraffic, start: Start
) -> None:
    said = "no PID given: these are all that are watched or added"
    (nothing,) = [daemon.ctl("top", "--once")]
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing that you may see is watched or added" in nothing.stderr
    one = traffic("unix_pair")
    assert daemon.ctl("add", one.pid).returncode == 0
    every = daemon.ctl("top", "--once")
    assert (every.returncode, every.stderr) == (0, f"{said}\n")
    assert str(one.pid) in every.stdout
    assert said not in daemon.ctl("top", "--once", one.pid).stderr
    screen = start()
    screen.until(said)
    assert screen.end("q") == 0


def test_children_that_are_followed_stand_below_their_parent(
    traffic: StartTraffic, start: Start
) -> None:
    one = traffic("family", 3)
    screen = start("--follow", "--tree", "--interval", 0.2, one.pid)
    screen.until("1 process ")
    one.start()
    children = one.result()["pids"]
    screen.until("4 processes")
    one.run()
    for sent, pid in enumerate(children, 1):
        screen.until(lambda: screen.row(str(pid))[7:11] == [str(sent), "B"] * 2)  # noqa: B023
        assert re.search("[├└]─python3", " ".join(screen.row(str(pid))))
    assert screen.lines[4].split()[0] == str(one.pid)
    one.end()
    screen.until("0 processes")
    assert screen.end("q") == 0


def test_lang_c_as_a_user_without_privileges(traffic: StartTraffic, start: Start) -> None:
    one = traffic("paced", RATE, 60, uid=ALICE)
    one.start()
    screen = start("--interval", 0.2, one.pid, uid=ALICE, LC_ALL="C", LANG="C")
    screen.until("RATEv")
    screen.until(lambda: screen.row(str(one.pid))[-1:] and "#" in screen.row(str(one.pid))[-1])
    assert screen.end("q") == 0
    assert screen.sent.isascii()


@pytest.mark.faults
def test_it_goes_on_with_the_next_broker(
    daemon: Daemon, traffic: StartTraffic, start: Start
) -> None:
    one = traffic("paced", RATE, 60)
    screen = start("--interval", 0.2, one.pid)
    screen.until(str(one.pid))
    one.start()
    (broker,) = (p["pid"] for p in daemon.status()["processes"] if p["role"] == "broker")
    os.kill(broker, 9)
    screen.until("netiod was away for")
    before = screen.row(str(one.pid))[7:9]
    screen.until(lambda: screen.row(str(one.pid))[7:9] != before)
    assert screen.end("q") == 0
