"""A terminal that is slower than the traffic: it shows the present, and no event is unaccounted."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from typing import NamedTuple

import pytest

from tests.system.conftest import PATIENCE, TOP, Daemon, StartTraffic

#: Bytes a second that the terminal takes, operations a second, and for how many seconds.
TAKES, RATE, SECONDS = 20_000, 50_000, 4


class Read(NamedTuple):
    """Bytes as they came, and when (seconds since the epoch)."""

    time: float
    data: bytes


class SlowTerminal:
    """A pseudo-terminal whose other side is read at a pace, to the end."""

    def __init__(self, rate: int) -> None:
        self._lead, self.follow = pty.openpty()
        fcntl.ioctl(self.follow, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 160, 0, 0))
        self._rate = rate
        self._read: list[Read] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to read; only a program has the terminal from now on."""
        os.close(self.follow)
        self._thread.start()

    def lines(self) -> list[tuple[float, str]]:
        """Each line, and when its end came."""
        self._thread.join(60 * PATIENCE)
        assert not self._thread.is_alive()
        lines, rest = [], b""
        for read in self._read:
            *whole, rest = (rest + read.data).split(b"\n")
            lines += [(read.time, line.decode().rstrip("\r")) for line in whole]
        return lines

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            try:
                data = os.read(self._lead, self._rate // 50)
            except OSError:
                break
            self._read.append(Read(time.time(), data))
            due = max(due, time.monotonic() - 0.1) + len(data) / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
        os.close(self._lead)


def seconds(at: float, clock: str) -> float:
    """When it was `clock`, a time of day, just before `at`."""
    hours, minutes, rest = clock.split(":")
    local = time.localtime(at)
    day = time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1))
    found = day + int(hours) * 3600 + int(minutes) * 60 + float(rest)
    return found if found < at + 3600 else found - 86_400


@pytest.mark.slow
def test_a_slow_terminal_shows_the_present(daemon: Daemon, traffic: StartTraffic) -> None:
    one, terminal = traffic("paced", RATE, SECONDS), SlowTerminal(TAKES)
    viewer = subprocess.Popen(
        daemon.command("watch", "--wide", one.pid),
        stdout=terminal.follow,
        stderr=subprocess.PIPE,
        text=True,
        cwd=TOP,
        env=daemon.environment,
    )
    terminal.start()
    assert viewer.stderr is not None
    assert viewer.stderr.readline().startswith("watching ")
    said = one.run()
    one.end()
    try:
        _, errors = viewer.communicate(timeout=10 * PATIENCE)
    finally:
        viewer.kill()
    assert viewer.returncode == 0, errors
    shown = skipped = 0
    newest, oldest_news = None, 0.0
    lines = terminal.lines()
    for at, line in lines:
        if re.match(r"\S+ (SEND|RECV) ", line):
            shown += 1
            happened = seconds(at, line.split()[0])
            # Until this line came, the newest event on the screen was the one before.
            oldest_news = max(oldest_news, at - (happened if newest is None else newest))
            newest = happened if newest is None else max(newest, happened)
        elif found := re.match(r"-- ([\d,]+) events? skipped in .* sent, .* received\)", line):
            skipped += int(found[1].replace(",", ""))
        else:
            assert not line.startswith("--") or set(line) == {"-"}, line
    assert shown + skipped == said["events"]
    assert shown > SECONDS * TAKES / 500
    assert oldest_news < PATIENCE
    text = "\n".join(line for _, line in lines)
    assert f"Send Operations:      {said['events'] // 2:,}\n" in text
    assert f"Events Not Shown:     {skipped:,} (slow terminal)\n" in text
