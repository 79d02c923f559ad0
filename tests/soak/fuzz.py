"""Requests that were made at random from good ones, and rubbish: each gets its one answer.

A case is what a seed makes, always the same: a seed that found a failure is kept in seeds.txt, and
the system tests replay those.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).with_name("seeds.txt")
#: Cases that are sent before their answers are read.
BATCH = 200
#: Codes that a client may cause. Not among them: a defect in netiod.
_EXPECTED = {-32700, -32600, -32601, -32602, -32001, -32002, -32003, -32004, -32005}
_METHODS = ("hello", "watch", "sync", "add", "remove", "list", "summary", "status")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 4_194_304, 4_194_305, 2**31, 2**63, 1e308, 0.5, "", "1",
    "x" * 300, [], [[]], {}, {"pids": []}, "\0", "\ud800", "\u202e",
)  # fmt: skip


class FuzzError(Exception):
    """The daemon did not do as it should; says on which seeds."""


def case(seed: int) -> bytes:
    """One or more lines."""
    dice = random.Random(seed)
    kind = dice.random()
    if kind < 0.05:
        return dice.randbytes(dice.randrange(1, 300)) + b"\n"
    line = json.dumps(_message(dice)).encode()
    if kind < 0.55:
        line = _mutated(dice, line)
    return line + b"\n"


def kept() -> list[int]:
    """The seeds that have found something."""
    lines = SEEDS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


class Fuzz:
    """A connection to the daemon at `path`, made anew by each check()."""

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, seeds: Iterable[int], progress: Callable[[int], None]) -> int:
        """Send the cases; how many there were.

        Raises:
            FuzzError: an answer is missing, one too many, or tells of a defect.
        """
        done = 0
        for batch in _batches(seeds):
            self.check(batch)
            done += len(batch)
            progress(done)
        return done

    def check(self, seeds: list[int]) -> None:
        """Send the cases of these seeds at once, and compare the answers' number with theirs."""
        lines = b"".join(map(case, seeds)).split(b"\n")[:-1]
        expected = sum(1 for line in lines if line.strip())
        where = f"seeds {seeds[0]} to {seeds[-1]}"
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20)
                sock.connect(self._path)
                sock.sendall(b"\n".join(lines) + b"\n")
                sock.shutdown(socket.SHUT_WR)
                with sock.makefile("rb") as reader:
                    answers = sum(self._answer(line, where) for line in reader)
        except OSError as error:
            raise FuzzError(f"{where}: {error}") from error
        if answers != expected:
            raise FuzzError(f"{where}: {expected} requests, {answers} answers")

    @staticmethod
    def _answer(line: bytes, where: str) -> int:
        """1 for an answer, 0 for a notification."""
        try:
            message = json.loads(line)
        except ValueError:
            raise FuzzError(f"{where}: no line of JSON: {line[:200]!r}") from None
        if "method" in message:
            return 0
        error = message.get("error")
        if error is not None and error["code"] not in _EXPECTED:
            raise FuzzError(f"{where}: {error}")
        if (error is None) == ("result" not in message):
            raise FuzzError(f"{where}: neither result nor error: {line[:200]!r}")
        return 1


def _message(dice: random.Random) -> Any:
    params: Any = {}
    if dice.random() < 0.8:
        pids = [_pid(dice) for _ in range(dice.choice((0, 1, 1, 1, 2, 5, 257)))]
        params["pids"] = pids
    if dice.random() < 0.2:
        params[dice.choice(("stream", "protocol", "pids", "x"))] = dice.choice(_VALUES)
    message: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": dice.randrange(1000),
        "method": dice.choice(_METHODS),
        "params": params,
    }
    for _ in range(dice.choice((0, 0, 0, 1, 2))):
        key = dice.choice(list(message))
        if dice.random() < 0.3:
            del message[key]
        else:
            message[key] = dice.choice(_VALUES)
    return message


def _pid(dice: random.Random) -> Any:
    # Few that exist: a million attached processes are another test.
    return dice.choice(_VALUES) if dice.random() < 0.1 else dice.randrange(1 << 20, 1 << 22)


def _mutated(dice: random.Random, line: bytes) -> bytes:
    data = bytearray(line)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(data) + 1)
        what = dice.randrange(4)
        if what == 0:
            data[at:at] = dice.randbytes(dice.randrange(1, 8))
        elif what == 1:
            del data[at : at + dice.randrange(1, 20)]
        elif what == 2 and data:
            data[at % len(data)] = dice.randrange(256)
        else:
            data[at:at] = dice.choice(
                (b'"', b"{", b"}", b"[", b"\\u0000", b"\n", b"null", b"9" * 50)
            )
    return bytes(data)


def _batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for seed in seeds:
        batch.append(seed)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
