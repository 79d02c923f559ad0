"""The accuracy matrix, live: every call, family and direction, on each back-end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy import matrix
from tests.accuracy.programs import Generator, build, private_daemon
from tests.accuracy.results import Status


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("accuracy"))


@pytest.mark.slow
def test_every_byte_is_counted_once(backend: str, generator: Path, tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)  # the broker, who is not root, looks in
    everything = matrix.Filter((), Generator.families(generator))
    with private_daemon(tmp_path, backend) as daemon:
        found = list(matrix.run(daemon, backend, generator, everything, lambda _: None))
    assert [each for each in found if each.status is Status.OFF] == []
    exact = {each.family for each in found if each.status is Status.EXACT}
    # What no kernel lacks has been there.
    assert {"tcp4", "udp4", "unix-stream", "attribution", "load"} <= exact
    assert sum(each.status is Status.EXACT for each in found) > 300
