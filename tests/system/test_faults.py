"""What is killed comes back, and whoever watches loses nothing but time, and is told of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import ALICE, TOP, Daemon, StartDaemon, StartTraffic, Watch, wait_until
from tests.system.test_access import children

#: Datagrams of a run: some seconds at full speed.
MANY = 250_000


class Recorded(Watch):
    """A watch whose output goes to a file, so that nothing but itself makes it slow."""

    def __init__(self, daemon: Daemon, path: Path, *arguments: Any, uid: int | None = None) -> None:
        self.path = path
        with path.open("w") as file:
            self.process = subprocess.Popen(
                daemon.command("watch", *arguments, uid=uid),
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
                cwd=TOP,
                env=daemon.environment,
            )

    def finish(self, sig: int | None = signal.SIGINT, seconds: float = 20) -> tuple[int, str, str]:
        status, _, err = super().finish(sig, seconds)
        return status, self.path.read_text(), err


def kill(daemon: Daemon, name: str) -> float:
    """SIGKILL a child of netiod; when that was (monotonic seconds)."""
    os.kill(children(daemon.process.pid)[name], signal.SIGKILL)
    return time.monotonic()


def serves(daemon: Daemon) -> bool:
    """Whether there is another broker, which answers."""
    return daemon.ctl("list").returncode == 0


def count(objects: list[dict[str, Any]]) -> dict[str, int]:
    """How many events an output accounts for, by the kind of object."""
    found: dict[str, int] = {}
    for each in objects:
        if each["type"] in ("event", "lost", "interrupted"):
            found[each["type"]] = found.get(each["type"], 0) + each.get("events", 1)
    return found


@pytest.mark.faults
@pytest.mark.parametrize("uid", [None, ALICE], ids=["root", "alice"])
def test_a_watch_outlives_the_broker(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path, uid: int | None
) -> None:
    one = traffic("stream", MANY, uid=uid)
    watch = Recorded(daemon, tmp_path / "out", "--json", "--summary", one.pid, uid=uid).wait_ready()
    one.start()
    time.sleep(0.5)
    kill(daemon, "netiod-broker")
    said = one.result()
    objects = watch.objects()
    (gap,) = [each for each in objects if each["type"] == "interrupted"]
    found = count(objects)
    assert gap["seconds"] < 1.5
    assert sum(found.values()) == said["events"]
    total = objects[-1]["total"]
    assert objects[-1]["complete"]
    assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])
    assert sum(row["sent_bytes"] for row in objects[-1]["connections"]) == said["sent"]


@pytest.mark.faults
def test_a_watch_in_text_says_so_in_one_line(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    one = traffic("stream", MANY)
    watch = Recorded(daemon, tmp_path / "out", one.pid).wait_ready()
    one.start()
    wait_until(lambda: watch.path.stat().st_size > 1_000_000, what="events are shown")
    kill(daemon, "netiod-broker")
    said = one.result()
    one.end()
    status, out, err = watch.finish(None)
    assert status == 0, err
    lines = out.splitlines()
    (gap,) = [line for line in lines if line.startswith("-- stream interrupted ")]
    found = re.fullmatch(
        r"-- stream interrupted \d\.\d s, ([\d,]+) events? not shown; totals are complete --", gap
    )
    assert found
    assert 0 < lines.index(gap) < len(lines)
    lost = sum(int(n.replace(",", "")) for n in re.findall(r"-- ([\d,]+) events lost", out))
    shown = sum(" stream" not in line and line[9:13] in ("SEND", "RECV") for line in lines)
    assert shown + lost + int(found[1].replace(",", "")) == said["events"]
    assert f"Total Bytes Sent:     {said['sent']:,} bytes" in out
    assert "Not complete" not in out
    assert err == f"{one.pid} ({names(daemon)}) exited\n"


@pytest.mark.faults
def test_a_process_that_exits_while_there_is_no_broker(
    daemon: Daemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    one, other = traffic("stream", 5000, uid=ALICE), traffic("stream", 5000, uid=ALICE)
    pids = (one.pid, other.pid)
    watch = Recorded(daemon, tmp_path / "out", "--json", "--summary", *pids, uid=ALICE).wait_ready()
    broker = children(daemon.process.pid)["netiod-broker"]
    os.kill(broker, signal.SIGSTOP)
    said = one.run(), other.run()
    one.end()
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: '"interrupted"' in watch.path.read_text(), what="it goes on")
    also = other.run()
    objects = watch.objects()
    assert {each["pid"] for each in objects if each["type"] == "exit"} == {one.pid}
    assert sum(count(objects).values()) == 30_000
    assert objects[-1]["complete"]
    assert objects[-1]["total"]["sent_bytes"] == also["sent"] + sum(s["sent"] for s in said)


@pytest.mark.faults
def test_a_watch_outlives_its_gate(daemon: Daemon, traffic: StartTraffic, tmp_path: Path) -> None:
    one = traffic("stream", MANY)
    watch = Recorded(daemon, tmp_path / "out", "--json", "--summary", one.pid).wait_ready()
    one.start()
    wait_until(lambda: watch.path.stat().st_size > 1_000_000, what="events are shown")
    kill(daemon, "netiod-gate")
    said = one.result()
    one.end()
    objects = watch.objects(None)
    (gap,) = [each for each in objects if each["type"] == "interrupted"]
    assert gap["seconds"] < 1.5
    assert sum(count(objects).values()) == said["events"]
    assert not [each for each in objects if each.get("stage") == "stream"]
    assert objects[-1]["total"]["sent_bytes"] == said["sent"]


@pytest.mark.faults
def test_requests_wait_for_the_next_broker(daemon: Daemon, traffic: StartTraffic) -> None:
    added, other = traffic("stream", 100), traffic("stream", 100)
    assert daemon.ctl("add", added.pid).returncode == 0
    said = added.run()
    for verb in (["list"], ["status"], ["add", other.pid], ["summary", added.pid]):
        killed = kill(daemon, "netiod-broker")
        done = daemon.ctl(*verb)
        assert done.returncode == 0, done.stderr
        assert "netioctl:" not in done.stderr
        # Ten times what it takes where nobody else needs the CPUs.
        assert time.monotonic() - killed < 5
        # The next death is one of a broker that served.
        assert serves(daemon)
    assert daemon.summary(added.pid)["total"]["sent_bytes"] == said["sent"]
    assert {row["pid"]: row["added_by"] for row in daemon.json("list")} == {
        added.pid: 0,
        other.pid: 0,
    }


def names(daemon: Daemon) -> str:
    """The name that the processes of traffic.py have."""
    (name,) = {row["comm"] for row in daemon.json("list")}
    return str(name)


@pytest.mark.faults
def test_another_daemon_goes_on_and_the_summary_says_what_it_lacks(
    start_daemon: StartDaemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    first = start_daemon()
    one = traffic("stream", 500)
    watch = Recorded(first, tmp_path / "out", "--summary", one.pid).wait_ready()
    said = one.run()
    wait_until(lambda: watch.path.read_text().count("\n") == 1 + 1000, what="all is shown")
    first.stop()
    one.run()
    second = start_daemon(run_dir=first.run_dir)
    wait_until(lambda: "interrupted" in watch.path.read_text(), 15, "it goes on")
    assert [(row["pid"], row["viewers"]) for row in second.json("list")] == [(one.pid, 1)]
    one.run()
    status, out, err = watch.finish()
    assert status == 0, err
    told = re.search(
        r"-- stream interrupted (\d+\.\d) s, an unknown number of events not shown --\n", out
    )
    assert told
    assert len([line for line in out.splitlines() if line[9:13] in ("SEND", "RECV")]) == 2000
    assert f"Total Bytes Sent:     {2 * said['sent']:,} bytes" in out
    assert "Not complete:         netiod was restarted meanwhile\n" in out
    # What it waits for is said after a second: a fast machine has a daemon again by then.
    lines = err.splitlines()
    assert len(lines) == 1 or (not lines and float(told[1]) < 2)
    assert all("waiting" in line for line in lines)


@pytest.mark.faults
def test_a_broker_that_keeps_dying_is_given_up_with_one_message_on_each_side(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    one = traffic("stream", 100)
    watch = Watch(daemon, one.pid).wait_ready()
    for _ in range(5):
        broker = wait_until(lambda: children(daemon.process.pid).get("netiod-broker"))
        os.kill(broker, signal.SIGKILL)
        wait_until(lambda pid=broker: children(daemon.process.pid).get("netiod-broker") != pid)
    assert daemon.process.wait(10) == 1
    (line,) = [each for each in daemon.log.splitlines() if each.startswith("netiod: the broker")]
    assert line == (
        "netiod: the broker was killed by SIGKILL, the 5th time in 10 seconds: netiod gives up; "
        "its log says why, with -v in full; see: netioctl doctor"
    )
    assert not daemon.run_dir.exists()
    status, out, err = watch.finish(None)
    assert status == 3
    assert "SUMMARY" not in out
    waiting, last = err.splitlines()
    assert waiting.startswith("netiod has ended the connection: waiting for the next")
    assert last == (
        "netioctl: the totals of this watch are unknown: netiod ended the connection at "
        f"{daemon.run_dir}/control.sock and has not come back for 10 s "
        "(check: systemctl status netiod); see: netioctl doctor"
    )
    refused = daemon.ctl("list")
    assert refused.returncode == 3
    assert refused.stderr.startswith("netioctl: cannot reach netiod: ")
