"""What every unit test finds as it should be."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """netiod configures its loggers for a process; a test does so for itself alone."""
    loggers = [logging.getLogger(name) for name in ("netiod", "netiod.audit")]
    before = [(each, each.handlers[:], each.propagate, each.level) for each in loggers]
    raises = logging.raiseExceptions
    yield
    for each, handlers, propagate, level in before:
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)
    logging.raiseExceptions = raises


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gates first: they are forked off this process, may take little address space, and other
    tests have it take much by their threads.
    """
    items.sort(key=lambda item: item.path.name != "test_gate.py")
