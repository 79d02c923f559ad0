"""What the broker tells by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from netiod.broker import Broker


class _Viewer:
    """Stands for a control connection; `leave`: what happens when something is sent to it."""

    def __init__(self, holdings: list[Any], leave: Any = lambda: None) -> None:
        self.holdings, self._leave = holdings, leave
        self.told: list[tuple[str, Any]] = []

    def notify(self, method: str, params: Any) -> None:
        self.told.append((method, params))
        self._leave()


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the kernel counts."""
    count = [100]
    monkeypatch.setattr(Broker, "missed", lambda _self: count[0])
    return count


def _broker(*viewers: _Viewer) -> Broker:
    broker = object.__new__(Broker)
    broker._server = SimpleNamespace(connections=set(viewers))  # type: ignore[assignment]
    broker.selection = SimpleNamespace(of=lambda _viewer: [])  # type: ignore[assignment]
    broker._missed_told = broker.missed()
    return broker


def test_who_watches_is_told_when_operations_have_escaped(missed: list[int]) -> None:
    watches, asks = _Viewer([object()]), _Viewer([])
    broker = _broker(watches, asks)
    broker.tell_missed()
    assert watches.told == []
    missed[0] = 112
    broker.tell_missed()
    broker.tell_missed()
    missed[0] = 113
    broker.tell_missed()
    assert watches.told == [("missed", {"operations": 112}), ("missed", {"operations": 113})]
    assert asks.told == []


def test_a_count_that_could_not_be_read_in_full_is_not_news(missed: list[int]) -> None:
    viewer = _Viewer([object()])
    broker = _broker(viewer)
    for missed[0] in (40, 100):
        broker.tell_missed()
    assert viewer.told == []


def test_a_viewer_that_goes_while_it_is_told(missed: list[int]) -> None:
    viewers: list[_Viewer] = []
    broker = _broker()
    for _ in range(3):
        viewer = _Viewer([object()], broker._server.connections.clear)
        viewers.append(viewer)
    broker._server.connections.update(viewers)  # type: ignore[arg-type]
    missed[0] = 101
    broker.tell_missed()
    assert [viewer.told for viewer in viewers] == [[("missed", {"operations": 101})]] * 3
