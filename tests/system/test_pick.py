"""`netioctl pick` with a real daemon: who is offered to whom, and the most active first."""

from __future__ import annotations

from collections.abc import Callable

from tests.screens import ENTER, Terminal
from tests.system.conftest import ALICE, BOB, TOP, Daemon, StartTraffic, wait_until


def _offered(daemon: Daemon, uid: int | None, *keys: str, until: Callable[[Terminal], bool]) -> str:
    """The screen of who picks, once `until` says that it is as expected."""
    screen = Terminal(daemon.command("pick", uid=uid), daemon.environment, piped=True, cwd=TOP)
    try:
        screen.until("most active")
        screen.press(*keys)
        screen.until(lambda: until(screen))
        text = screen.text
        assert screen.process.stdout is not None
        screen.press(ENTER)
        assert int(screen.process.stdout.read()) > 0
        assert screen.end() == 0
        return text
    finally:
        screen.close()


def test_the_most_active_are_first_and_users_see_their_own(
    daemon: Daemon, traffic: StartTraffic
) -> None:
    quiet = traffic("blocked", 8, uid=ALICE)
    busy = traffic("paced", 2000, 60, uid=ALICE)
    others = traffic("paced", 2000, 60, uid=BOB)
    for one in (quiet, busy, others):
        one.start()

    def both(screen: Terminal) -> bool:
        lines = [line.split()[0] for line in screen.lines[3:] if line[:9].strip().isdecimal()]
        return lines[:2] == [str(busy.pid), str(quiet.pid)]

    text = _offered(daemon, ALICE, until=both)
    assert str(others.pid) not in text
    # 64,000 bytes a second each way, for half a second.
    (row,) = (line.split() for line in text.splitlines() if line.split()[:1] == [str(busy.pid)])
    assert 40 < float(row[3]) < 80
    assert row[4] == "KB"
    # Whatever was attached for this is let go.
    wait_until(lambda: daemon.json("list") == [])
    both_users = _offered(
        daemon, None, *"paced", until=lambda screen: str(others.pid) in screen.text
    )
    assert str(busy.pid) in both_users
