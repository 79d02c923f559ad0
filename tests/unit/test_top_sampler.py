"""The sampler asks the daemon for no more than has changed or is new to the screen."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from netioctl.client import Client
from netioctl.top.sample import Connections, Sample
from netioctl.top.sampler import Sampler
from netioctl.wire.errors import DaemonUnreachable, NetioError
from tests.unit.fake_daemon import FakeDaemon, running


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with running() as daemon:
        for pid in (1, 2, 3):
            daemon.process(pid).row("a", "b", sent_bytes=1, send_ops=1)
        yield daemon


def _next(sampler: Sampler) -> Sample | NetioError:
    assert select.select([sampler], [], [], 10)[0]
    taken = sampler.take()
    assert taken
    return taken[-1]


def _connections(sampler: Sampler) -> Connections:
    """Of the next sample that has some."""
    while True:
        sample = _next(sampler)
        assert isinstance(sample, Sample)
        if sample.connections is not None:
            return sample.connections


def _asked(daemon: FakeDaemon) -> list[list[int]]:
    return [params["pids"] for method, params in daemon.requests if method == "summary"]


def test_connections_of_who_has_moved_nothing_are_not_asked_for_again(daemon: FakeDaemon) -> None:
    with Client(daemon.run_dir) as client, Sampler(client, 0.05) as sampler:
        assert isinstance(first := _next(sampler), Sample)
        assert first.held is not None
        assert first.connections is None
        sampler.want(frozenset((1, 2)))
        found = _connections(sampler)
        assert set(found.rows) == {(1, 100), (2, 200)}
        daemon.processes[2].row("a", "c", sent_bytes=5, send_ops=1)
        while (2, 200) not in (found := _connections(sampler)).rows:
            assert found.covered == {(1, 100), (2, 200)}
        assert set(found.rows) == {(2, 200)}
        assert {row.remote for row in found.rows[2, 200]} == {"b", "c"}
        assert _asked(daemon) == [[1, 2], [2]]


def test_looking_away_and_back_reads_nothing_anew(daemon: FakeDaemon) -> None:
    with Client(daemon.run_dir) as client, Sampler(client, 3600) as sampler:
        _next(sampler)
        for pids in ((1, 2), (), (1, 2), (), (3,)):
            sampler.want(frozenset(pids))
            if pids:
                _connections(sampler)
        assert _asked(daemon) == [[1, 2], [3]]


def test_a_daemon_that_is_away_is_tried_again(daemon: FakeDaemon) -> None:
    with Client(daemon.run_dir) as client, Sampler(client, 0.05) as sampler:
        _next(sampler)
        daemon.drop()
        # The next connection is there at once, so there need not be any error in between.
        while not isinstance(_next(sampler), Sample):
            pass
        daemon.close()
        while not isinstance(error := _next(sampler), DaemonUnreachable):
            pass
        assert "cannot reach netiod" in str(error) or "ended the connection" in str(error)
