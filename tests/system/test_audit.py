"""The audit trail of a real netiod, in a journal and without one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.system.conftest import ALICE, Daemon, StartDaemon, StartTraffic, Watch, wait_until
from tests.unit.test_audit import parse


def test_a_service_tells_the_journal(
    start_daemon: StartDaemon, traffic: StartTraffic, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.settimeout(5)
        # As systemd starts it: stderr is what JOURNAL_STREAM names.
        daemon = start_daemon(
            setup=f"import os, netiod.journal as j; j.SOCKET = {str(path)!r}; s = os.fstat(2);"
            "os.environ['JOURNAL_STREAM'] = f'{s.st_dev}:{s.st_ino}'"
        )
        one = traffic("rename", "a\nNETIO_UID=0", uid=ALICE)
        one.run()
        watch = Watch(daemon, one.pid, uid=ALICE).wait_ready()
        attached = parse(journal.recv(4096))
        watch.finish()
        detached = parse(journal.recv(4096))
        assert daemon.ctl("watch", os.getpid(), uid=ALICE).returncode == 1
        refused = parse(journal.recv(4096))
        assert daemon.ctl("add", one.pid).returncode == 0
        added = parse(journal.recv(4096))
        one.end()
        exited = parse(journal.recv(4096))
        # netiod's own records stay where they were.
        assert " ready: " in daemon.log
        assert "attach uid" not in daemon.log
    assert attached["NETIO_ACTION"] == "attach"
    assert attached["NETIO_PID"] == str(one.pid)
    assert attached["NETIO_UID"] == str(ALICE)
    assert attached["NETIO_COMM"] == "a\nNETIO_UID=0"
    assert attached["NETIO_CLIENT_PID"] == str(watch.process.pid)
    assert attached["SYSLOG_IDENTIFIER"] == "netiod"
    assert attached["MESSAGE"].isprintable()
    assert (detached["NETIO_ACTION"], detached["NETIO_WHY"]) == ("detach", "left")
    assert (refused["NETIO_ACTION"], refused["NETIO_PID"]) == ("refused", str(os.getpid()))
    assert (added["NETIO_UID"], added["NETIO_HOW"]) == ("0", "add")
    assert (exited["NETIO_ACTION"], exited["NETIO_WHY"]) == ("detach", "exited")


def test_by_hand_the_lines_are_on_stderr(daemon: Daemon, traffic: StartTraffic) -> None:
    one = traffic("rename", "x\nrefused uid=0", uid=ALICE)
    one.run()
    daemon.ctl("add", one.pid, uid=ALICE)
    daemon.ctl("remove", one.pid, uid=ALICE)
    wait_until(lambda: "why=removed" in daemon.log)
    lines = [line for line in daemon.log.splitlines() if f"pid={one.pid} " in line]
    assert len(lines) == 2
    assert all(rf"uid={ALICE} " in line and r"x\nrefused" in line for line in lines)


def test_a_storm_of_refusals_does_not_fill_the_log(daemon: Daemon) -> None:
    for _ in range(5):
        daemon.ctl("add", *range(4_194_304 - 250, 4_194_304), uid=ALICE)
    wait_until(lambda: "left-out" in daemon.log, what="the count is told")
    lines = [line for line in daemon.log.splitlines() if f" refused uid={ALICE} " in line]
    assert 20 <= len(lines) < 40
