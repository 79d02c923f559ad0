"""The run directory: its lock, the control socket, and the gates' listening sockets."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from types import TracebackType

from netioctl.wire.control import SOCKET_NAME
from netioctl.wire.errors import AlreadyRunning, ConfigError, NetioError
from netiod import acl
from netiod.channel import OPERATORS

LOCK_NAME = "netiod.lock"
#: Bytes of a socket's path: struct sockaddr_un less the NUL.
MAX_PATH = 107

#: The kernel takes net.core.somaxconn at most. Full, it refuses those who do not wait.
_CONTROL_BACKLOG = 4096
_GATE_BACKLOG = 128


def control_path(run_dir: str) -> str:
    """Path of the control socket."""
    return os.path.join(run_dir, SOCKET_NAME)


def gate_path(run_dir: str, uid: int) -> str:
    """Path of the stream socket of `uid`, or of OPERATORS."""
    name = "operators" if uid == OPERATORS else str(uid)
    return os.path.join(run_dir, f"gate-{name}.sock")


class RunDirectory:
    """The directory `path`, held by this process alone from entry to exit.

    `control`: descriptor of a control socket there that listens already, as systemd's do; it is
    left where it is.

    Raises on entry:
        AlreadyRunning: another daemon holds it; nothing was touched.
        ConfigError: its path is too long, or others could put their own sockets there.
        NetioError: the system refuses.
    """

    def __init__(self, path: str, control: int | None = None) -> None:
        self.path = path
        self._control = control
        self._made = False
        self._lock = -1
        #: Whether a daemon that was killed has left its sockets here.
        self.was_in_use = False

    def __enter__(self) -> RunDirectory:
        room = MAX_PATH - len(gate_path("", OPERATORS - 1)) - 1
        length = len(os.fsencode(self.path))
        if length > room:
            raise ConfigError(
                f"the path of the run directory has {length} bytes, {room} are possible: "
                f"choose a shorter one than {self.path}"
            )
        try:
            self._make()
            self._lock = _take_lock(self.path)
            self.was_in_use = any(self._socket_files())
            self._remove_sockets()
        except OSError as error:
            self._let_go()
            where = error.filename or self.path
            raise NetioError(f"cannot use run directory {where}: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._remove_sockets()
        self._let_go()

    def control_listener(self) -> socket.socket:
        """The control socket, which every user may connect to.

        Raises:
            NetioError: it cannot be made, or the one that is there is elsewhere.
        """
        path = control_path(self.path)
        if self._control is not None:
            return _given(self._control, path)
        try:
            return _listener(path, 0o666, _CONTROL_BACKLOG)
        except OSError as error:
            raise NetioError(f"cannot listen on {path}: {error.strerror}") from error

    def gate_listener(self, uid: int, group: int | None) -> socket.socket:
        """The stream socket that `uid` alone may connect to, or the members of `group` (gid).

        Without a group the one of OPERATORS is root's.

        Raises:
            OSError: it cannot be made.
        """
        path = gate_path(self.path, uid)
        self.remove_gate(uid)
        listener = _listener(path, 0o600, _GATE_BACKLOG)
        try:
            if uid != OPERATORS:
                acl.let_in(path, uid=uid)
            elif group is not None:
                acl.let_in(path, gid=group)
        except OSError:
            listener.close()
            self.remove_gate(uid)
            raise
        return listener

    def remove_gate(self, uid: int) -> None:
        """Remove the stream socket of `uid`, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(gate_path(self.path, uid))

    def _make(self) -> None:
        try:
            os.mkdir(self.path, 0o755)
        except FileExistsError:
            pass
        else:
            self._made = True
            os.chmod(self.path, 0o755)
        found = os.stat(self.path)
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"the run directory {self.path} is not a directory")
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ConfigError(
                f"others than root may write to the run directory {self.path}: "
                f"chown root {self.path} && chmod 755 {self.path}, or choose another"
            )
        if not acl.are_possible(self.path):
            self._let_go()
            raise ConfigError(
                f"the file system of the run directory {self.path} has no access control lists, "
                "which say whose a stream is: choose one that has, such as tmpfs, with --run-dir"
            )

    def _let_go(self) -> None:
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.path, LOCK_NAME))
        if self._made:
            # Whoever put something else there wants to find it again.
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
        if self._lock >= 0:
            os.close(self._lock)

    def _remove_sockets(self) -> None:
        """What a daemon that died left behind; only ever called with the lock held."""
        for path in self._socket_files():
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)

    def _socket_files(self) -> Iterator[str]:
        for name in os.listdir(self.path):
            is_gate = name.startswith("gate-") and name.endswith(".sock")
            if is_gate or (name == SOCKET_NAME and self._control is None):
                yield os.path.join(self.path, name)


def _take_lock(run_dir: str) -> int:
    path = os.path.join(run_dir, LOCK_NAME)
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A daemon that ends removes its lock file: the one we hold must be the one in place.
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                os.ftruncate(lock, 0)
                os.write(lock, b"%d\n" % os.getpid())
                return lock
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                os.close(lock)
                raise
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            raise AlreadyRunning(
                f"another netiod{f' (PID {holder})' if holder else ''} serves {run_dir}: "
                "stop it, or choose another directory with --run-dir"
            ) from None
        os.close(lock)


def _given(fd: int, path: str) -> socket.socket:
    listener = socket.socket(fileno=fd)
    try:
        found = (
            listener.getsockname() if listener.family == socket.AF_UNIX else listener.family.name
        )
        if isinstance(found, str) and os.path.realpath(found) == os.path.realpath(path):
            return listener
    except OSError as error:
        found = error.strerror
    listener.close()
    raise NetioError(
        f"systemd's socket netiod.socket listens on {found}, and netiod serves {path}: "
        "change ListenStream= there, or run_dir in netiod.toml"
    )


def _listener(path: str, mode: int, backlog: int) -> socket.socket:
    """A listening socket whose file has `mode` from its first moment on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # Binding gives the file 0777 less the umask.
    umask = os.umask(0o777 & ~mode)
    try:
        listener.bind(path)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return listener
