"""How many lines a second `netioctl watch` prints: python3 -m tests.unit.viewer_speed [LINES].

A fake daemon offers more frames than can be read, so the viewer is what limits; not a test.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time

from tests.unit.fake_daemon import RECVFROM, SENDTO, FakeDaemon, running, tcp_entry

PID, EVENTS = 1234, 1536


def main() -> None:
    """Measure each form, and what filters cost: half of the events are sent, a quarter is small."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    text = ["--no-summary"]
    for options in (
        ["--json"],
        text,
        [*text, "--wide"],
        ["--csv"],
        [*text, "--columns", "time,dir,pid,bytes,remote"],
        [*text, "--port", "80"],
        [*text, "--send"],
        [*text, "--min-bytes", "100", "--remote", "93.184.216.0/24", "--call", "sendto,recvfrom"],
    ):
        with running(high_water=200) as daemon:
            print(*options, measure(daemon, options, lines))


def measure(daemon: FakeDaemon, options: list[str], lines: int) -> str:
    """Lines a second of wall and of CPU time."""
    daemon.process(PID)
    chosen = random.Random(1)
    entries = [
        tcp_entry(n, PID, ("192.168.1.100", 40000 + n), ("93.184.216.34", 80)) for n in range(1, 9)
    ]
    data = b"".join(
        daemon.event(
            time=1732384245_000000000 + n * 1500,
            tgid=PID,
            tid=PID + n % 4,
            conn=1 + n % 8,
            bytes=chosen.choice((64, 512, 1448, 16384)),
            dir=n % 2,
            call=RECVFROM if n % 2 else SENDTO,
        )
        for n in range(EVENTS)
    )
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            daemon.send(daemon.frame(PID, data, entries))
            time.sleep(0.0008)

    command = [sys.executable, "-m", "netioctl", "--run-dir", str(daemon.run_dir), "watch"]
    viewer = subprocess.Popen(
        [*command, *options, "--count", str(lines), str(PID)],
        stdout=subprocess.DEVNULL,
    )
    feeder = threading.Thread(target=feed)
    feeder.start()
    began = time.perf_counter()
    _, status, used = os.wait4(viewer.pid, 0)
    wall = time.perf_counter() - began
    viewer.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    feeder.join()
    cpu = used.ru_utime + used.ru_stime
    rates = f"{lines / wall / 1e6:.2f} M lines/s of wall, {lines / cpu / 1e6:.2f} M/s of CPU"
    return f"{rates}, start included; {used.ru_maxrss / 1024:.0f} MB"


if __name__ == "__main__":
    main()
