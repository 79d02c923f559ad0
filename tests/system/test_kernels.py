"""Debian's kernels in virtual machines: the matrix on every back-end, and some of these tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from tests.kernels import matrix, packages
from tests.kernels.errors import KernelsError
from tests.kernels.machine import Shape, check_host
from tests.kernels.packages import SUITES, Kernel, Suite


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """Longer than the limit of other tests: a machine has its own, and downloads take time."""

    def late(_signal: int, _frame: Any) -> None:
        pytest.fail("not done after half an hour")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(1800)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def unavailable(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}: continuous integration has to run this")
    pytest.skip(why)


def kernel_of(suite: Suite) -> Kernel:
    """The suite's kernel; the test is skipped where it cannot be had."""
    try:
        check_host()
        return packages.cached(suite) or packages.fetch(suite, print)
    except KernelsError as error:
        unavailable(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.series or suite.name)
def test_every_byte_is_counted_on(suite: Suite) -> None:
    kernel = kernel_of(suite)
    found: list[matrix.Found] = []
    matrix.measure([kernel], Shape(), matrix.MACHINES, found.append)
    for each in found:
        print(matrix.text(each))
    assert [each.wrong for each in found] == [[]]
