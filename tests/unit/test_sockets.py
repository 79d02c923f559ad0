from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from netioctl.wire.errors import AlreadyRunning, ConfigError, NetioError
from netiod.channel import OPERATORS
from netiod.sockets import RunDirectory, control_path, gate_path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path: sockets' paths are limited."""
    with tempfile.TemporaryDirectory(prefix="netio-test-") as name:
        yield Path(name)


def left_behind(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def test_paths() -> None:
    assert control_path("/run/netio") == "/run/netio/control.sock"
    assert gate_path("/run/netio", 1000) == "/run/netio/gate-1000.sock"
    assert gate_path("/run/netio", OPERATORS) == "/run/netio/gate-operators.sock"


def test_modes_whatever_the_umask(place: Path) -> None:
    umask = os.umask(0o077)
    try:
        with RunDirectory(str(place / "run")) as held:
            listeners = held.control_listener(), held.gate_listener(7, None)
            paths = held.path, control_path(held.path), gate_path(held.path, 7)
            modes = [stat.S_IMODE(os.stat(path).st_mode) for path in paths]
            # The group's bits are the mask of the access list.
            assert modes == [0o755, 0o666, 0o660]
            for listener in listeners:
                listener.close()
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(umask)


def test_without_its_group_the_operators_gate_is_roots(place: Path) -> None:
    with RunDirectory(str(place / "run")) as held, held.gate_listener(OPERATORS, None):
        found = os.stat(gate_path(held.path, OPERATORS))
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 0, 0o600)


def test_a_file_system_without_access_lists(place: Path) -> None:
    subprocess.run(["mount", "-t", "ramfs", "ramfs", place], check=True)
    try:
        with pytest.raises(ConfigError, match="no access control lists"):
            RunDirectory(str(place / "run")).__enter__()
        assert os.listdir(place) == []
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_gate_takes_the_place_of_the_last(place: Path) -> None:
    with RunDirectory(str(place / "run")) as directory:
        with directory.gate_listener(7, None):
            pass
        with directory.gate_listener(7, None), socket.socket(socket.AF_UNIX) as client:
            client.connect(gate_path(directory.path, 7))


def test_one_daemon_holds_it(place: Path) -> None:
    path = str(place / "run")
    with RunDirectory(path) as first, first.control_listener():
        with pytest.raises(AlreadyRunning, match=rf"PID {os.getpid()}\) serves {path}: "):
            RunDirectory(path).__enter__()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(control_path(path))
    assert not os.path.exists(path)
    with RunDirectory(path):
        pass


def test_only_sockets_are_cleared_away(place: Path) -> None:
    run = place / "run"
    left_behind(run / "control.sock")
    left_behind(run / "gate-7.sock")
    left_behind(run / "other.sock")
    (run / "gate-8.sock").write_text("not a socket")
    with RunDirectory(str(run)) as directory:
        found = {p.name for p in run.iterdir()}
        assert found == {"netiod.lock", "other.sock", "gate-8.sock"}
        with directory.control_listener():
            pass
    assert {p.name for p in run.iterdir()} == {"other.sock", "gate-8.sock"}


def test_a_file_in_the_way_is_named(place: Path) -> None:
    (place / "run").mkdir()
    (place / "run" / "control.sock").write_text("not a socket")
    in_use = pytest.raises(NetioError, match=r"control.sock: Address already in use")
    with RunDirectory(str(place / "run")) as held, in_use:
        held.control_listener()


def test_a_path_that_is_too_long(place: Path) -> None:
    room = 107 - len("/gate-4294967294.sock")
    fits = str(place) + "/" + "x" * (room - len(str(place)) - 1)
    with RunDirectory(fits) as directory, directory.gate_listener(OPERATORS - 1, None):
        pass
    with pytest.raises(ConfigError, match=f"has {room + 1} bytes, {room} are possible"):
        RunDirectory(fits + "x").__enter__()


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_directory_that_others_may_write_to(place: Path, mode: int) -> None:
    (place / "run").mkdir()
    (place / "run").chmod(mode)
    with pytest.raises(ConfigError, match="others than root may write"):
        RunDirectory(str(place / "run")).__enter__()
    assert not list((place / "run").iterdir())


def test_a_directory_of_another_user(place: Path) -> None:
    (place / "run").mkdir()
    os.chown(place / "run", 12345, -1)
    with pytest.raises(ConfigError, match=r"chown root .*/run"):
        RunDirectory(str(place / "run")).__enter__()


def test_what_is_no_directory(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        RunDirectory(str(place / "file")).__enter__()
    with pytest.raises(NetioError, match=r"cannot use run directory .*/deep/er: No such file"):
        RunDirectory(str(place / "deep" / "er")).__enter__()


def test_a_symbolic_link_is_no_lock(place: Path) -> None:
    (place / "run").mkdir()
    (place / "run" / "netiod.lock").symlink_to(place / "victim")
    with pytest.raises(NetioError, match="cannot use run directory"):
        RunDirectory(str(place / "run")).__enter__()
    assert not (place / "victim").exists()
