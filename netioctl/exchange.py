"""Requests and answers over one control connection: JSON-RPC, one object a line."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from netioctl.connecting import connect
from netioctl.wire import control
from netioctl.wire.errors import (
    Code,
    ConnectionLost,
    DaemonUnreachable,
    ProtocolError,
    from_code,
)


class Exchange:
    """A connection to the socket at `path`; `timeout` in seconds bounds each wait for the daemon.

    `hear` is given what the daemon tells unasked, as it comes. `wait`: as connect() has it.

    Raises, here and in every method:
        DaemonUnreachable: nobody answers; ConnectionLost where somebody did before.
        ProtocolError: what answers is not netiod.
    """

    def __init__(
        self,
        path: str,
        timeout: float,
        hear: Callable[[control.Object], None],
        *,
        wait: bool = True,
    ) -> None:
        self.path, self.timeout = path, timeout
        self._hear = hear
        self._ident = 0
        self._data = bytearray()
        self._socket = connect(path, timeout, wait=wait)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor that is readable when something may have come; -1: closed."""
        return self._socket.fileno()

    def ask(self, method: str, params: control.Object) -> tuple[control.Object, Sequence[Any]]:
        """The result of a request, and the rows that came before it.

        Raises:
            RequestError: the daemon refuses.
        """
        self.send(method, params)
        rows: list[Any] = []
        while (answer := self._next(rows)) is None:
            if not self._fill(0):
                raise self._silent()
        return _result(answer), rows

    def send(self, method: str, params: control.Object) -> None:
        """Ask without waiting: answer() has the result when it has come."""
        self._ident += 1
        try:
            self._socket.sendall(control.encode(control.request(self._ident, method, params)))
        except BlockingIOError:
            raise self._silent() from None
        except OSError as error:
            raise self._ended(error) from error

    def answer(self) -> control.Object | None:
        """The result of the last request, or None if it has not come; does not wait.

        Raises:
            RequestError: the daemon refuses.
        """
        while (answer := self._next([])) is None:
            if not self._fill(socket.MSG_DONTWAIT):
                return None
        return _result(answer)

    def listen(self) -> None:
        """Hear what has come unasked; does not wait.

        Raises:
            ConnectionLost: the connection has ended, and all that came before was heard earlier.
        """
        try:
            while self._fill(socket.MSG_DONTWAIT):
                pass
        except ConnectionLost:
            if b"\n" not in self._data:
                raise
        while (message := self._take()) is not None:
            self._hear(message)

    def _next(self, rows: list[Any]) -> control.Object | None:
        """The answer to the last request if it has arrived; `rows` gets those before it."""
        while (message := self._take()) is not None:
            if message.get("method") == "rows":
                rows += _rows(message, self._ident)
            elif "method" in message:
                self._hear(message)
            elif (ident := message.get("id")) == self._ident or ident is None:
                return message
            elif not isinstance(ident, int) or ident > self._ident:
                raise ProtocolError(f"{self.path}: an answer to what was not asked")
            # What is left is the late answer to a request that was given up.
        return None

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

    def _ended(self, error: OSError | None) -> ConnectionLost:
        why = f" ({error.strerror or error})" if error else ""
        return ConnectionLost(
            f"netiod ended the connection at {self.path}{why} (check: systemctl status netiod)"
        )


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
