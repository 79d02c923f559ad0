"""A supervisor whose loader loads nothing and whose broker does what a test tells it to."""

from __future__ import annotations

import faulthandler
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from netioctl.wire.errors import NetioError
from netiod import channel, children, handover, logs
from netiod.keeper import BrokerRun
from netiod.loading import LoaderRun
from netiod.settings import Settings
from netiod.supervisor import Programs, Supervisor
from netiod.systemd import Notifier
from netiod.words import Words

#: Seconds after which a test gives up waiting.
PATIENCE = 10.0
#: A capability that the stub loader asks for in the broker's name.
CAP_NET_ADMIN = 12


def loader_with(fifo: Path) -> LoaderRun:
    """Loads nothing, but hands over as a link the writing end of `fifo`."""

    def run(_settings: Settings, to: socket.socket, _words: Words) -> NoReturn:
        handover.send_log(to, "hook one attached")
        link = os.open(fifo, os.O_WRONLY)
        info = {"backend": {"name": "stub"}, "broker_capabilities": [CAP_NET_ADMIN]}
        handover.send_loaded(to, info, {"map:a": 0, "link:a": link})
        os._exit(0)

    return run


def broker(_settings: Settings, listener: socket.socket, to: socket.socket) -> int:
    """Obey lines from the control socket; pass on there what the supervisor says."""
    return _StubBroker(listener, to).run()


class _StubBroker:
    def __init__(self, listener: socket.socket, to: socket.socket) -> None:
        self._listener, self._to = listener, to
        self._supervisor = channel.Channel(to)
        self._client: socket.socket | None = None
        self._gates: dict[int, socket.socket | None] = {}
        self._silent = False

    def run(self) -> int:
        self._loaded = self._supervisor.receive_handover()
        self._supervisor.ready()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._supervisor, selectors.EVENT_READ, self._pass_on)
        while True:
            for key, _ in self._selector.select(0.1):
                status = key.data()
                if status is not None:
                    return int(status)
            if not self._silent:
                self._supervisor.alive()

    def _accept(self) -> None:
        self._client = self._listener.accept()[0]
        self._selector.register(self._client, selectors.EVENT_READ, self._obey)

    def _pass_on(self) -> int | None:
        message = self._supervisor.receive()
        if message is None:
            return 0
        # Held, else the gate ends.
        self._gates[message.uid] = message.sock
        if self._client is not None:
            self._answer(message[:3])
        return None

    def _obey(self) -> int | None:
        assert self._client is not None
        line = self._client.recv(4096).decode()
        word, _, rest = line.partition(" ")
        if word == "open":
            self._supervisor.open_gate(int(rest))
        elif word == "close":
            self._supervisor.close_gate(int(rest))
        elif word == "exit":
            return int(rest)
        elif word == "abort":
            os.abort()
        elif word == "say":
            self._to.send(bytes.fromhex(rest))
        elif word == "frame":
            uid, text = rest.split(" ", 1)
            sock = self._gates[int(uid)]
            assert sock is not None
            sock.send(text.encode())
        elif word == "silence":
            self._silent = True
        elif word == "describe":
            self._answer(self._describe())
        else:
            self._selector.unregister(self._client)
            self._client = None
        return None

    def _answer(self, value: object) -> None:
        assert self._client is not None
        self._client.send(json.dumps(value).encode() + b"\n")

    def _describe(self) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "uid": os.getuid(),
            "info": self._loaded.info,
            "names": list(self._loaded.fds),
        }


class Daemon:
    """A supervisor in a child process, and its log."""

    def __init__(
        self,
        run_dir: Path,
        fifo: Path,
        *,
        loader: Callable[[], LoaderRun] | None = None,
        broker: Callable[[], BrokerRun] = lambda: broker,
    ) -> None:
        self.run_dir = run_dir
        programs = Programs(loader or (lambda: loader_with(fifo)), broker)
        self._log, writer = os.pipe()
        self._text = b""
        self._status: str | None = None

        def body() -> int:
            os.dup2(writer, 2)
            # pytest's own would go elsewhere, and so would its tracebacks of crashes.
            faulthandler.disable()
            sys.stderr = os.fdopen(2, "w", closefd=False)
            logs.configure(verbose=True)
            settings = Settings(run_dir=str(run_dir))
            try:
                Supervisor(settings, programs, Notifier(os.environ)).run()
            except NetioError as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return 1
            return 0

        self.pid = children.fork("test-netiod", body, [writer])
        os.close(writer)

    def line(self, holding: str) -> str:
        """The next line of the log that holds this text."""
        until = time.monotonic() + PATIENCE
        seen: list[str] = []
        while not seen or holding not in seen[-1]:
            if b"\n" in self._text:
                line, self._text = self._text.split(b"\n", 1)
                seen.append(line.decode())
                continue
            ready, _, _ = select.select([self._log], [], [], max(until - time.monotonic(), 0))
            data = os.read(self._log, 65536) if ready else b""
            assert data, f"no line with {holding!r} in {seen}"
            self._text += data
        return seen[-1]

    def connect(self) -> Client:
        return Client(self.run_dir / "control.sock")

    def wait(self) -> str:
        """How it ended."""
        if self._status is None:
            self._status = children.describe(os.waitpid(self.pid, 0)[1])
        return self._status

    def stop(self) -> str:
        if self._status is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def close(self) -> None:
        self.stop()
        os.close(self._log)


class Client:
    """Tells the stub broker what to do."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(PATIENCE)
        self._sock.connect(str(path))
        self._answers = self._sock.makefile()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._sock.close()

    def tell(self, line: str) -> None:
        self._sock.send(line.encode())

    def describe(self) -> dict[str, object]:
        self.tell("describe")
        answer: dict[str, object] = json.loads(self._answers.readline())
        return answer

    def hear(self) -> tuple[int, int, int]:
        """What the supervisor has said to the broker: op, uid, pid."""
        op, uid, pid = json.loads(self._answers.readline())
        return op, uid, pid

    def hear_end(self) -> None:
        """Wait until the broker is gone."""
        while True:
            try:
                if not self._sock.recv(65536):
                    return
            except ConnectionResetError:
                return
