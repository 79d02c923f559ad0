"""The control connection: ask netiod, and hear what it tells. Public Python API.

    with Client() as client:
        for held in client.list():
            print(held.process.pid, held.total.sent_bytes)

A connection is a lease: what `watch` attached is let go when the client closes.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netioctl import __version__, answers, stats
from netioctl.connecting import connect
from netioctl.wire import PROTOCOL_VERSION, control
from netioctl.wire.errors import (
    Code,
    DaemonUnreachable,
    ProtocolError,
    VersionMismatch,
    from_code,
)

if TYPE_CHECKING:
    from types import TracebackType

#: Seconds that the daemon may be silent when something is asked of it.
TIMEOUT = 5.0
#: PIDs in one request, so few that what the answer says of each fits one line.
PIDS_AT_ONCE = 128


def run_directory(run_dir: str | os.PathLike[str] | None = None) -> str:
    """The run directory to use: `run_dir`, else $NETIO_RUN_DIR, else the default."""
    return os.fspath(run_dir or os.environ.get("NETIO_RUN_DIR") or control.DEFAULT_RUN_DIR)


class Client:
    """A connection to netiod; says hello when it is made.

    `timeout` is in seconds and bounds each wait for the daemon.

    Raises, here and in every method:
        DaemonUnreachable: nobody answers; the text says why that may be.
        ProtocolError: what answers is not netiod.
        RequestError: the daemon refuses; VersionMismatch where it speaks another protocol.
    """

    def __init__(
        self, run_dir: str | os.PathLike[str] | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        self.path = os.path.join(run_directory(run_dir), control.SOCKET_NAME)
        self.timeout = timeout
        self._ident = 0
        self._data = bytearray()
        self._told: deque[answers.Notification] = deque()
        self._socket = connect(self.path, timeout)
        try:
            #: Who answered.
            self.server = self.hello()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it every lease."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor that is readable when notifications may have come."""
        return self._socket.fileno()

    def hello(self) -> answers.Hello:
        """Tell the protocol version; the daemon refuses one that it does not speak."""
        answer = answers.hello(
            self._ask("hello", {"protocol": PROTOCOL_VERSION, "client": f"netioctl {__version__}"})
        )
        if answer.protocol != PROTOCOL_VERSION:
            raise VersionMismatch(
                f"netiod {answer.version} speaks protocol {answer.protocol}, this client "
                f"{PROTOCOL_VERSION}: install the same version of both"
            )
        return answer

    def watch(self, pids: Sequence[int], *, stream: bool = True) -> answers.Watched:
        """Attach processes until this client closes; the answer names their stream, if wanted."""
        asked = ({**each, "stream": stream} for each in _pieces(pids))
        parts = [answers.watched(self._ask("watch", each)) for each in asked]
        return answers.Watched(
            next((part.endpoint for part in parts if part.endpoint), ""),
            tuple(process for part in parts for process in part.processes),
            tuple(failure for part in parts for failure in part.errors),
            min(part.missed for part in parts),
        )

    def sync(self, pids: Sequence[int]) -> dict[int, int]:
        """Have an empty frame sent on the topic of each watched process.

        Returns the index that the next event of each will have: who has read up to there has
        all that happened before.
        """
        published: dict[int, int] = {}
        for each in _pieces(pids):
            published.update(answers.published(self._ask("sync", each)))
        return published

    def add(self, pids: Sequence[int]) -> answers.Changes:
        """Attach processes until `remove` or their exit."""
        return self._change("add", pids)

    def remove(self, pids: Sequence[int]) -> answers.Changes:
        """Undo `add`."""
        return self._change("remove", pids)

    def list(self) -> tuple[answers.Held, ...]:
        """The processes that are held, or exited not long ago, as far as the caller may see."""
        return tuple(answers.held(row) for row in self._ask_rows("list", {})[1])

    def summary(self, pids: Sequence[int]) -> answers.Summary:
        """Totals and connections of processes since they were attached."""
        return stats.combine(
            [answers.summary(*self._ask_rows("summary", each)) for each in _pieces(pids)]
        )

    def status(self) -> control.Object:
        """How the daemon does, as PROTOCOL.md lists it."""
        return self._ask("status", {})

    def notifications(self) -> tuple[answers.Notification, ...]:
        """What the daemon has told unasked since the last call; does not wait.

        Raises:
            DaemonUnreachable: the connection has ended, and all that came before was returned.
        """
        try:
            while self._fill(socket.MSG_DONTWAIT):
                pass
        except DaemonUnreachable:
            if not self._told and b"\n" not in self._data:
                raise
        while (message := self._take()) is not None:
            self._hear(message)
        told = tuple(self._told)
        self._told.clear()
        return told

    def _change(self, method: str, pids: Sequence[int]) -> answers.Changes:
        parts = [answers.changes(self._ask(method, each)) for each in _pieces(pids)]
        return answers.Changes(
            tuple(process for part in parts for process in part.processes),
            tuple(failure for part in parts for failure in part.errors),
        )

    def _ask(self, method: str, params: control.Object) -> control.Object:
        return self._ask_rows(method, params)[0]

    def _ask_rows(
        self, method: str, params: control.Object
    ) -> tuple[control.Object, Sequence[Any]]:
        """The result of a request, and the rows that came before it."""
        self._ident += 1
        try:
            self._socket.sendall(control.encode(control.request(self._ident, method, params)))
        except BlockingIOError:
            raise self._silent() from None
        except OSError as error:
            raise self._ended(error) from error
        rows: list[Any] = []
        while True:
            message = self._take()
            if message is None:
                if not self._fill(0):
                    raise self._silent()
            elif message.get("method") == "rows":
                rows += _rows(message, self._ident)
            elif "method" in message:
                self._hear(message)
            elif (ident := message.get("id")) == self._ident or ident is None:
                return _result(message), rows
            elif not isinstance(ident, int) or ident > self._ident:
                raise ProtocolError(f"{self.path}: an answer to what was not asked")
            # What is left is the late answer to a request that was given up.

    def _hear(self, message: control.Object) -> None:
        told = answers.notification(message)
        if told is not None:
            self._told.append(told)

    def _take(self) -> control.Object | None:
        """The next whole message that has arrived, or None."""
        end = self._data.find(b"\n")
        if end < 0:
            if len(self._data) > control.MAX_LINE:
                raise ProtocolError(f"{self.path}: what answers there is not netiod")
            return None
        line = bytes(self._data[:end])
        del self._data[: end + 1]
        try:
            return control.decode(line)
        except ProtocolError as error:
            text = f"{self.path}: what answers there is not netiod ({error})"
            raise ProtocolError(text) from error

    def _fill(self, flags: int) -> bool:
        """Read what has come; False if nothing did in time."""
        try:
            data = self._socket.recv(control.MAX_LINE, flags)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._ended(error) from error
        if not data:
            raise self._ended(None)
        self._data += data
        return True

    def _silent(self) -> DaemonUnreachable:
        return DaemonUnreachable(
            f"netiod has not answered for {self.timeout:g} s at {self.path}\n"
            "it may be stopped or overloaded (check: systemctl status netiod)"
        )

    def _ended(self, error: OSError | None) -> DaemonUnreachable:
        why = f" ({error.strerror or error})" if error else ""
        return DaemonUnreachable(
            f"netiod ended the connection at {self.path}{why} (check: systemctl status netiod)"
        )


def _pieces(pids: Sequence[int]) -> Iterator[control.Object]:
    """The params of as many requests as it takes; one at least, so that the daemon can object."""
    for at in range(0, max(1, len(pids)), PIDS_AT_ONCE):
        yield {"pids": list(pids[at : at + PIDS_AT_ONCE])}


def _rows(message: control.Object, ident: int) -> Sequence[Any]:
    params = message.get("params")
    if isinstance(params, dict) and isinstance(params.get("rows"), list):
        return params["rows"] if params.get("id") == ident else ()
    raise ProtocolError("netiod's answer is not understood: rows are missing")


def _result(message: control.Object) -> control.Object:
    """The result in an answer; raises what its error says."""
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict):
        code, text = error.get("code"), error.get("message")
        if isinstance(code, int) and isinstance(text, str):
            raise from_code(code, text)
        raise from_code(Code.INTERNAL_ERROR, "netiod failed and did not say why")
    if not isinstance(result, dict):
        raise ProtocolError("netiod's answer is not understood: it has no result")
    return result
