"""`netioctl watch` on a pseudo-terminal that is slow, stopped, or quick."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import termios
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from netioctl import live
from netioctl.output import Output
from netioctl.screen import Wish
from netioctl.terminal import Terminal
from netioctl.watching import Escaped
from tests.unit.fake_daemon import RECVFROM, FakeDaemon, running
from tests.unit.test_netioctl_watch import ENDS, ENTRY, PID, Viewer

SKIPPED = re.compile(
    r"-- ([\d,]+) events? skipped in \S+ \S+ \(\S+ \S+ sent, \S+ \S+ received\): "
    r"slow terminal; totals are complete --"
)


class Screen:
    """The other side of a pseudo-terminal: reads nothing, or so many bytes a second, or all."""

    def __init__(self) -> None:
        self.lead, self.follow = pty.openpty()
        self.text = b""
        self.rate = 0.0
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self, rate: float) -> None:
        """Read from now on, to the end; `rate` in bytes a second, may be inf."""
        self.rate = rate
        self._go.set()

    def _run(self) -> None:
        self._go.wait()
        while True:
            try:
                data = os.read(self.lead, 65536 if self.rate > 1e6 else 256)
            except OSError:
                return
            self.text += data
            time.sleep(len(data) / self.rate)

    def wait_for(self, shown: Callable[[str], bool]) -> None:
        """Wait until what is on the screen is as it should be."""
        until = time.monotonic() + 10
        while not shown(self.text.decode()):
            assert time.monotonic() < until, self.text[-500:]
            time.sleep(0.01)

    def end(self) -> list[str]:
        """All lines, when the program has ended."""
        self._go.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        os.close(self.lead)
        return self.text.decode().splitlines()


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        daemon.process(PID)
        yield daemon


@pytest.fixture
def screen() -> Screen:
    return Screen()


def _start(daemon: FakeDaemon, screen: Screen, *options: str) -> Viewer:
    viewer = Viewer(daemon, "watch", *options, str(PID), stdout=screen.follow).ready()
    os.close(screen.follow)
    return viewer


def _feed(daemon: FakeDaemon, frames: int, pause: float = 0.0) -> int:
    """Frames of 100 events, sent and received in turn; how many events that was."""
    pair = daemon.event(tgid=PID, tid=PID, conn=1, bytes=10)
    pair += daemon.event(tgid=PID, tid=PID, conn=1, bytes=1000, dir=1, call=RECVFROM)
    for _ in range(frames):
        daemon.publish(PID, pair * 50, entries=[ENTRY])
        time.sleep(pause)
    return 100 * frames


def _sums(lines: list[str]) -> tuple[int, int]:
    """Events shown, events skipped; every line between header and summary is one of these."""
    shown = skipped = 0
    for line in lines[1 : lines.index("=" * 80) - 1]:
        if found := SKIPPED.fullmatch(line):
            skipped += int(found[1].replace(",", ""))
        else:
            assert re.match(r"\S{8} (SEND|RECV) 1234 ", line), line
            shown += 1
    return shown, skipped


def test_what_a_slow_terminal_cannot_take_is_skipped_and_told(
    daemon: FakeDaemon, screen: Screen
) -> None:
    screen.read(20_000)
    viewer = _start(daemon, screen)
    made = _feed(daemon, 300, 0.005)
    daemon.processes[PID].row(*ENDS, sent_bytes=10 * made // 2, send_ops=made // 2)
    daemon.exit(PID)
    status, _, err = viewer.end()
    lines = screen.end()
    shown, skipped = _sums(lines)
    assert status == 0
    assert err.endswith("1234 (curl) exited\n")
    assert shown + skipped == made
    assert shown >= 100
    assert skipped >= made // 2
    assert f"Events Not Shown:     {skipped:,} (slow terminal)" in lines
    assert f"Send Operations:      {made // 2:,}" in lines


def test_a_quick_terminal_is_shown_all(daemon: FakeDaemon, screen: Screen) -> None:
    screen.read(float("inf"))
    viewer = _start(daemon, screen)
    made = _feed(daemon, 50, 0.02)
    daemon.exit(PID)
    assert viewer.end()[0] == 0
    lines = screen.end()
    assert _sums(lines) == (made, 0)
    assert not [line for line in lines if line.startswith("Events Not Shown")]


def test_after_a_stop_the_present_is_shown_at_once(daemon: FakeDaemon, screen: Screen) -> None:
    screen.read(float("inf"))
    viewer = _start(daemon, screen)
    before = _feed(daemon, 1)
    time.sleep(0.3)
    os.write(screen.lead, b"\x13")  # Ctrl+S
    during = _feed(daemon, 100, 0.005)
    # Lost on the way meanwhile, which is told even so, and once.
    daemon.processes[PID].published += 7
    during += _feed(daemon, 1)
    daemon.processes[PID].published += 4
    during += _feed(daemon, 100, 0.005)
    time.sleep(0.6)
    os.write(screen.lead, b"\x11")  # Ctrl+Q
    screen.wait_for(lambda text: "skipped" in text and "lost" in text)
    after = _feed(daemon, 1)
    screen.wait_for(lambda text: text.count(" RECV ") + text.count(" SEND ") == before + after)
    daemon.exit(PID)
    assert viewer.end()[0] == 0
    lines = screen.end()
    assert "-- 11 events lost (viewer too slow) --" in lines
    lines.remove("-- 11 events lost (viewer too slow) --")
    assert _sums(lines) == (before + after, during)
    assert len([line for line in lines if SKIPPED.fullmatch(line)]) == 1


def test_what_happened_while_the_viewer_itself_was_stopped_is_old(
    daemon: FakeDaemon, screen: Screen
) -> None:
    def happen(count: int) -> int:
        for _ in range(count):
            event = daemon.event(tgid=PID, tid=PID, conn=1, time=time.monotonic_ns())
            daemon.publish(PID, event, entries=[ENTRY])
        return count

    screen.read(float("inf"))
    viewer = _start(daemon, screen)
    shown = happen(1)
    time.sleep(0.2)
    viewer.process.send_signal(signal.SIGSTOP)
    during = happen(200)
    time.sleep(1.0)
    viewer.process.send_signal(signal.SIGCONT)
    time.sleep(0.2)
    shown += happen(1)
    time.sleep(0.2)
    daemon.exit(PID)
    assert viewer.end()[0] == 0
    assert _sums(screen.end()) == (shown, during)


def test_a_terminal_that_shows_nothing_holds_up_neither_the_stream_nor_the_end(
    daemon: FakeDaemon, screen: Screen
) -> None:
    viewer = _start(daemon, screen)
    made = _feed(daemon, 400, 0.002)
    time.sleep(0.2)
    # What is summed up is not kept.
    with open(f"/proc/{viewer.process.pid}/statm") as statm:
        before = int(statm.read().split()[1])
    made += _feed(daemon, 2000)
    time.sleep(0.5)
    with open(f"/proc/{viewer.process.pid}/statm") as statm:
        assert (int(statm.read().split()[1]) - before) * 4096 < 8 << 20
    viewer.process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    # It waits for no more than room for its last words.
    screen.read(float("inf"))
    assert viewer.end()[0] == 0
    lines = screen.end()
    assert sum(_sums(lines)) == made
    assert not [line for line in lines if "lost" in line]


def test_in_json(daemon: FakeDaemon, screen: Screen) -> None:
    screen.read(20_000)
    viewer = _start(daemon, screen, "--json", "--summary")
    made = _feed(daemon, 200, 0.005)
    daemon.exit(PID)
    assert viewer.end()[0] == 0
    values: list[dict[str, Any]] = [json.loads(line) for line in screen.end()]
    skips = [value for value in values if value["type"] == "skipped"]
    assert list(skips[0]) == [
        *("type", "seconds", "events", "sent_bytes", "recv_bytes", "send_ops", "recv_ops")
    ]
    for skip in skips:
        assert skip["sent_bytes"] == 10 * skip["send_ops"]
        assert skip["recv_bytes"] == 1000 * skip["recv_ops"]
        assert skip["events"] == skip["send_ops"] + skip["recv_ops"]
    skipped = sum(skip["events"] for skip in skips)
    assert skipped + [value["type"] for value in values].count("event") == made
    assert values[-1]["type"] == "summary"
    assert values[-1]["skipped"] == skipped
    assert values[-2] == {"type": "exit", "pid": PID}


def test_count_counts_what_was_skipped(daemon: FakeDaemon, screen: Screen) -> None:
    screen.read(20_000)
    viewer = _start(daemon, screen, "--count", "15050")
    _feed(daemon, 200, 0.005)
    assert viewer.end()[0] == 0
    assert sum(_sums(screen.end())) == 15_050


def test_to_a_pipe_nothing_is_skipped(daemon: FakeDaemon) -> None:
    viewer = Viewer(daemon, "watch", str(PID)).ready()
    made = _feed(daemon, 200, 0.005)
    time.sleep(0.6)
    daemon.exit(PID)
    status, out, _ = viewer.end()
    assert status == 0
    assert _sums(out.splitlines()) == (made, 0)


def test_a_terminal_says_when_it_has_shown_what_it_was_given() -> None:
    lead, follow = pty.openpty()
    terminal = Terminal(follow)
    poll = select.poll()
    poll.register(terminal, select.POLLIN)
    poll.poll(0)
    first = terminal.room()
    assert terminal.write(b"x" * first) == first
    assert terminal.room() < first
    assert terminal.due < float("inf")
    assert not poll.poll(0)
    os.read(lead, first // 2)
    assert not poll.poll(20)
    os.read(lead, first)
    assert poll.poll(5000)
    assert terminal.room() > 0
    terminal.close()
    os.close(lead)
    os.close(follow)


def test_a_terminal_that_was_stopped_is_asked_again_soon() -> None:
    """Its word that it goes on may be missed: how long it was stopped says nothing of that."""
    lead, follow = pty.openpty()
    terminal = Terminal(follow)
    poll = select.poll()
    poll.register(terminal, select.POLLIN)
    terminal.write(b"x" * terminal.room())
    time.sleep(0.6)
    os.read(lead, 65536)
    assert poll.poll(5000)
    terminal.write(b"x" * terminal.room())
    assert terminal.due - time.monotonic() < 0.3
    terminal.close()
    os.close(lead)
    os.close(follow)


def test_a_terminal_that_takes_a_part() -> None:
    lead, follow = pty.openpty()
    os.set_blocking(follow, True)
    terminal = Terminal(follow)
    assert 0 < terminal.write(b"x" * 1_000_000) < 1_000_000
    # The kernel moves it on to where the reader is, for a moment.
    while terminal.write(b"x" * 1_000_000):
        time.sleep(0.02)
    # The descriptor that others have is as it was.
    assert os.get_blocking(follow)
    # It is asked again after a while, and with little.
    time.sleep(0.1)
    assert 0 < terminal.room() < 1000
    termios.tcflush(follow, termios.TCOFLUSH)
    terminal.close()
    os.close(lead)
    os.close(follow)


def test_the_rest_of_a_line_is_written_once_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lead, follow = pty.openpty()

    class Half(Terminal):
        """Shows half of a line and no more."""

        taken = 0

        def room(self) -> int:
            return 0 if self.taken else 100

        def write(self, data: bytes) -> int:
            self.taken = os.write(follow, data[: len(data) // 2])
            return self.taken

    class Written(Output):
        def __init__(self) -> None:
            self.text = b""

        def encode(self, text: str) -> bytes:
            return text.encode()

        def width(self) -> int | None:
            return 80

        def write_bytes(self, data: bytes) -> None:
            self.text += data

    monkeypatch.setattr(live, "Terminal", Half)
    written = Written()
    session: Any = SimpleNamespace(
        connection=None, generation=0, register=lambda *_: None, unregister=lambda *_: None
    )
    wish = Wish()
    drawer: Any = SimpleNamespace(missed=lambda n: f"{n} missed\n", forget=lambda: None)
    screen = live.Live(session, written, wish, drawer, follow)
    screen.show([Escaped(12345)])
    screen.end()
    text = os.read(lead, 100)
    os.close(lead)
    os.close(follow)
    assert text + written.text == b"12345 missed\n"
