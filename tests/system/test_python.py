"""docs/PYTHON.md: its examples run as they stand, on real traffic, and are typed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import netioctl
from netioctl import Client, Events, Gone, Interrupted, Session, columns, items
from tests.system.conftest import PATIENCE, TOP, Daemon, StartTraffic

PAGE = (TOP / "docs" / "PYTHON.md").read_text()
SCRIPT, ASYNCIO, PANDAS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


class Example:
    """An example as a process of its own."""

    def __init__(self, daemon: Daemon, text: str, *pids: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", text, *map(str, pids)],
            env={
                **daemon.environment,
                "PYTHONPATH": str(TOP),
                "NETIO_RUN_DIR": str(daemon.run_dir),
            },
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begun(self) -> Iterator[str]:
        """Its lines from the first on, once there is one."""
        assert self.process.stdout is not None
        yield self.process.stdout.readline()

    def result(self) -> str:
        """What it printed until its end, which was a success."""
        out, err = self.process.communicate(timeout=30 * PATIENCE)
        assert (self.process.returncode, err) == (0, ""), err
        return out


def test_script(daemon: Daemon, traffic: StartTraffic) -> None:
    working = traffic("udp_echo")
    example = Example(daemon, SCRIPT, working.pid)
    assert next(example.begun()).startswith("watching Process(pid=")
    said = working.run()
    working.end()
    out = example.result()
    assert sum(map(int, re.findall(r" (\d+) operations$", out, re.M))) == 200
    assert out.endswith(f"{working.pid} exited\n{said['sent']} {said['recv']}\n")
    example = Example(daemon, SCRIPT, working.pid)
    assert example.process.communicate()[1] == f"no process {working.pid} that you may watch\n"


def test_asyncio(daemon: Daemon, traffic: StartTraffic) -> None:
    working = [traffic("udp_echo", rounds) for rounds in (10, 20)]
    example = Example(daemon, ASYNCIO, *(each.pid for each in working))
    for _ in working:
        next(example.begun())
    for each in working:
        each.run()
        each.end()
    assert example.result() == "[40, 80]\n"


def test_pandas(daemon: Daemon, traffic: StartTraffic) -> None:
    pytest.importorskip("pandas")
    working = traffic("tcp")
    example = Example(daemon, PANDAS, working.pid)
    next(example.begun())
    said = working.run()
    working.end()
    out = example.result()
    # Client and server are one process: 1,000 bytes one way, and 2,000 the other way in threes.
    assert re.search(rf"^{said['server']} +recv +recvfrom +3 +2000$", out, re.M), out
    assert re.search(r"^ +send +sendto +1 +1000$", out, re.M), out
    assert re.search(rf"^{said['client']} +2000 +1000$", out, re.M), out


@pytest.mark.faults
def test_asyncio_goes_on_with_another_broker(daemon: Daemon, traffic: StartTraffic) -> None:
    working = traffic("stream", 1000)
    seen: list[object] = []

    async def watch(session: Session) -> None:
        async for item in items(session):
            seen.append(item)
            if isinstance(item, Interrupted):
                working.run()
                working.end()

    async def main() -> None:
        with Client(daemon.run_dir) as client, Session(client, [working.pid]) as session:
            session.attach()
            session.open()
            watching = asyncio.ensure_future(watch(session))
            await asyncio.sleep(0.05)
            (broker,) = (p["pid"] for p in daemon.status()["processes"] if p["role"] == "broker")
            subprocess.run(["kill", "-KILL", str(broker)], check=True)
            await asyncio.wait_for(watching, 20 * PATIENCE)
            total = session.summary().total
            assert (total.send_ops, total.recv_bytes) == (1000, 64_000)

    asyncio.run(main())
    events = [item for item in seen if isinstance(item, Events)]
    assert sum(item.number for item in events) == 2000
    assert isinstance(seen[-1], Gone)
    tables = [columns(item) for item in events]
    for table, item in zip(tables, events):
        assert {len(column) for column in table.values()} == {item.number}
        assert set(table["bytes"]) == {64}
    times = [each for table in tables for each in table["time"].tolist()]
    assert times == sorted(times)
    assert abs(times[0] / 1e9 - time.time()) < 60 * PATIENCE
    ways = [way for table in tables for way in table["dir"]]
    assert (ways.count("send"), ways.count("recv")) == (1000, 1000)


def test_names() -> None:
    table = PAGE.partition("## What there is")[2]
    named = {name for row in re.findall(r"^\|([^|]*)\|", table, re.M) for name in _words(row)}
    errors = {
        name for row in re.findall(r"^\| `\w+Error` \|(.*)", table, re.M) for name in _words(row)
    }
    public = set(netioctl.__all__) - {"__version__", "NetioError"}
    assert named | (errors & public) == public
    for name in public:
        assert getattr(netioctl, name).__doc__ or name == "Item", name
    assert public <= set(dir(netioctl))
    with pytest.raises(AttributeError):
        netioctl.nothing  # noqa: B018


def _words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)(?:\(|`)", text))


def test_types(tmp_path: Path) -> None:
    mypy = TOP / ".venv" / "bin" / "mypy"
    if not mypy.exists():
        pytest.skip("mypy is not in .venv: sudo ./netio test puts it there")
    for name, text in ("script", SCRIPT), ("loop", ASYNCIO), ("table", PANDAS):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "wrong.py").write_text("from netioctl import Client\nClient().summary(5)\n")
    options = ["--strict", "--ignore-missing-imports", "--follow-imports", "silent"]
    done = subprocess.run(
        [mypy, *options, "--cache-dir", "cache", "--python-executable", sys.executable, "."],
        cwd=tmp_path,
        env={"MYPYPATH": str(TOP), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stdout
    assert 'wrong.py:2: error: Argument 1 to "summary"' in lines[0]
