"""The benchmark's other programs: what they print, and what becomes of one that does not run."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import servers, versions
from tests.bench.context import Context, Progress
from tests.bench.rivals import tools
from tests.bench.rivals.attempt import attempted, reason
from tests.bench.running import BenchError, Unavailable, find
from tests.bench.servers import Answered
from tests.bench.watcher import Condition, Watcher

WRK = """\
Running 1s test @ http://127.0.0.1:42935/file
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   721.55us   95.48us   3.11ms   95.50%
    Req/Sec    67.78k     2.21k   70.18k    90.00%
  67444 requests in 1.00s, 19.42MB read
Requests/sec:  67376.02
Transfer/sec:     19.40MB
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(1, 0.1, tmp_path, Progress())


def test_wrk() -> None:
    assert servers.wrk_says(WRK) == Answered(67444, 67376.02)


@pytest.mark.parametrize(
    "trouble",
    ["  Socket errors: connect 0, read 3, write 0, timeout 0", "  Non-2xx or 3xx responses: 67444"],
)
def test_wrk_that_got_something_else(trouble: str) -> None:
    with pytest.raises(BenchError, match=trouble.strip()):
        servers.wrk_says(f"{WRK}{trouble}\n")


def test_wrk_without_requests() -> None:
    with pytest.raises(BenchError, match="no requests"):
        servers.wrk_says("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    "text",
    ['"GET","1754385.96"\n', '"test","rps","avg_latency_ms"\n"GET","1754385.96","0.400"\n'],
    ids=["5", "7"],
)
def test_redis_benchmark(text: str) -> None:
    assert servers.redis_benchmark_says(text, 7) == Answered(7, 1754385.96)


def test_redis_benchmark_that_failed() -> None:
    with pytest.raises(BenchError, match="no result"):
        servers.redis_benchmark_says("Could not connect to Redis\n", 7)


def test_bpftrace_prints_its_counter_again_and_again() -> None:
    assert tools.last_count("Attaching 3 probes...\n") == 0
    assert tools.last_count("Attaching 3 probes...\n@events: 5\n@events: 12\n\n") == 12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it ended without a word"),
        ("Tracing\nbye\n", "bye"),
        ("sh: no modprobe\nUnable to find headers.\nException: y\n", "Unable to find headers."),
        ("error: " + "x" * 200, "error: " + "x" * 110 + "..."),
    ],
)
def test_reasons(text: str, why: str) -> None:
    assert reason(text) == why


def test_versions() -> None:
    assert versions.version("bpftrace v0.17.0\n") == "0.17.0"
    assert versions.version("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 W") == "4.1.0"
    assert versions.version("usage: ...\n") == "unknown"


def test_a_program_that_is_missing() -> None:
    with pytest.raises(Unavailable, match="no-such-program is not installed"):
        find("no-such-program")


def test_a_program_elsewhere(tmp_path: Path) -> None:
    program = tmp_path / "no-such-program"
    program.touch(0o755)
    assert find(program.name, tmp_path) == str(program)


@pytest.mark.parametrize("error", [BenchError("not within 30 s"), PermissionError("no")])
def test_a_rival_that_does_not_start_is_skipped(context: Context, error: Exception) -> None:
    @contextlib.contextmanager
    def broken(_context: Context, _pid: int) -> Iterator[Watcher]:
        raise error
        yield Watcher(())

    with (
        pytest.raises(Unavailable, match=str(error)),
        attempted(Condition("b", "b", broken)).apply(context, 1),
    ):
        pass


@contextlib.contextmanager
def ended(_context: Context, _pid: int) -> Iterator[Watcher]:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield Watcher((process.pid,))


def test_a_rival_that_ends_too_early_is_skipped(context: Context) -> None:
    with (
        pytest.raises(Unavailable, match="it ended while it was to watch"),
        attempted(Condition("e", "e", ended)).apply(context, 1),
    ):
        pass


def test_so_is_one_that_is_missed_because_it_ended(context: Context) -> None:
    with (
        pytest.raises(Unavailable, match="it ended while it was to watch"),
        attempted(Condition("e", "e", ended)).apply(context, 1),
    ):
        raise BenchError("a process that was to be measured has gone")


def test_a_workload_that_fails_under_a_rival_is_an_error(context: Context) -> None:
    @contextlib.contextmanager
    def lasting(_context: Context, _pid: int) -> Iterator[Watcher]:
        yield Watcher((os.getpid(),))

    with (
        pytest.raises(BenchError, match="the workload ended") as caught,
        attempted(Condition("w", "w", lasting)).apply(context, 1),
    ):
        raise BenchError("the workload ended")
    assert not isinstance(caught.value, Unavailable)
