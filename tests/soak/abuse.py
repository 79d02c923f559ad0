"""One user abuses a netiod, another one works with it: what the other one notices."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.system.conftest import ALICE, BOB, TOP, Daemon, Traffic, as_user
from tests.system.test_access import children

#: Milliseconds that 99 % of another user's requests may take at most.
P99_MS = 20.0
#: Bytes that the broker may have resident.
BROKER_BYTES = 256 << 20
_HERE = Path(__file__).parent


class AbuseError(Exception):
    """It could not be tried."""


class Seen(NamedTuple):
    """What one kind of abuse did."""

    #: Of requests on a connection that is `kept`, and on a `new` one: n, p50, p99, max (ms).
    times: dict[str, dict[str, float]]
    #: The broker's resident bytes, at most.
    rss: int
    #: Processes of netiod that ended, other than the abuser's own gate.
    died: list[str]
    #: In the abuser's own words.
    did: str

    def complaints(self, p99: float) -> list[str]:
        """What may not be."""
        found = [
            f"99 % of another user's requests took up to {t['p99']} ms on a {name} connection"
            for name, t in self.times.items()
            if t["p99"] > p99
        ]
        if self.rss > BROKER_BYTES:
            found.append(f"the broker has {self.rss >> 20} MB")
        return found + [f"{name} died" for name in self.died]


class Scene:
    """A netiod; Alice, the abuser; Bob, who watches a process of his."""

    def __init__(self, run_dir: Path) -> None:
        self._daemon = Daemon(run_dir)
        self.control = str(run_dir / "control.sock")
        self._hers, self._his = Traffic("stream", 10, uid=ALICE), Traffic("stream", 10, uid=BOB)
        self._watches = [
            self._watch(one.pid, uid) for one, uid in ((self._hers, ALICE), (self._his, BOB))
        ]

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.kill()
            watch.communicate()
        for one in (self._hers, self._his):
            one.process.kill()
            one.process.communicate()
        self._daemon.kill()

    def abuse(self, kind: str, seconds: float) -> Seen:
        """Alice abuses, Bob asks."""
        run_dir = self._daemon.run_dir
        # Abuse of her own gate may have ended her own watch, and with it the gate.
        if self._watches[0].poll() is not None:
            self._watches[0].communicate()
            self._watches[0] = self._watch(self._hers.pid, ALICE)
        before = self._processes()
        abuser = self._run("abuser.py", ALICE, kind, run_dir, seconds)
        neighbour = self._run("neighbour.py", BOB, run_dir, seconds, self._his.pid)
        # What is measured is netiod, and not who else wants the processor.
        for pid in (neighbour.pid, before["netiod-broker"]):
            os.setpriority(os.PRIO_PROCESS, pid, -20)
        rss = 0
        while neighbour.poll() is None:
            with contextlib.suppress(OSError):
                pages = Path(f"/proc/{before['netiod-broker']}/statm").read_text().split()[1]
                rss = max(rss, int(pages) * os.sysconf("SC_PAGE_SIZE"))
            time.sleep(0.1)
        times = _last_line(neighbour, "neighbour")
        counts = _last_line(abuser, "abuser")
        if not any(counts.values()):
            raise AbuseError(f"{kind}: the abuser could do nothing")
        did = ", ".join(f"{k} {v:,}" for k, v in counts.items())
        after = self._processes()
        died = [name for name, pid in before.items() if after.get(name) != pid]
        return Seen(times, rss, died, did)

    def streams(self, whose: str) -> int:
        """Events of `whose` ("hers" or "his") process that a new watch of theirs shows."""
        one, uid = (self._hers, ALICE) if whose == "hers" else (self._his, BOB)
        watch = self._watch(one.pid, uid, "--json", "--no-summary")
        one.run()
        time.sleep(0.5)
        watch.send_signal(signal.SIGINT)
        out, _ = watch.communicate(timeout=20)
        return out.count('"type":"event"')

    def defects(self) -> list[str]:
        """What netiod's log holds that it should not; a gate that dies is no defect here."""
        lines = self._daemon.defects.splitlines()
        return [f"netiod: {line}" for line in lines if "the gate of uid" not in line]

    def _processes(self) -> dict[str, int]:
        """PIDs by name: supervisor, broker, Bob's gate."""
        own = {"netiod": self._daemon.process.pid}
        if self._daemon.process.poll() is not None:
            own = {}
        own["netiod-broker"] = children(self._daemon.process.pid).get("netiod-broker", 0)
        status = self._daemon.status()["processes"]
        own.update({p["role"]: p["pid"] for p in status if p["role"] == f"gate-{BOB}"})
        return own

    def _watch(self, pid: int, uid: int, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._daemon.command("watch", *options, pid, uid=uid),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=TOP,
            env=self._daemon.environment,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        if not line.startswith("watching "):
            process.kill()
            raise AbuseError(f"no watch: {line}")
        return process

    def _run(self, program: str, uid: int, *arguments: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*as_user(uid), sys.executable, str(_HERE / program), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process


def _last_line(process: subprocess.Popen[str], who: str) -> dict[str, Any]:
    out, err = process.communicate(timeout=60)
    if process.returncode or not out:
        raise AbuseError(f"the {who} ended with {process.returncode}: {err.strip()[-300:]}")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found
