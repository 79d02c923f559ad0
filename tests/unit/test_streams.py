"""The broker's side of the gates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from netioctl.wire.errors import Code, RequestError
from netiod.gates import MAX_GATES
from netiod.policy import Caller
from netiod.streams import Streams


def test_who_gets_no_gate_is_told_the_limit() -> None:
    asked: list[int] = []
    answers: list[Any] = []
    streams = Streams(str, asked.append, lambda _uid: None)
    connection: Any = SimpleNamespace(caller=Caller(1, 1000, False))
    streams.open(connection, answers.append)
    streams.refused(1000)
    streams.settle()
    (answer,) = answers
    assert isinstance(answer, RequestError)
    assert answer.code is Code.LIMIT_REACHED
    assert str(MAX_GATES) in str(answer)
    # The next one may have more luck.
    streams.open(connection, answers.append)
    assert asked == [1000, 1000]
