"""The accuracy matrix, live: every call, family and direction, on each back-end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy import matrix, programs
from tests.accuracy.programs import Generator, build, private_daemon
from tests.accuracy.results import Operation, Status

#: A generator that says what it offers and nothing more: the first time, or each time.
STUCK = """#!/bin/sh
[ $# = 0 ] && exec {generator}
{often} || mkdir {mark} || exec {generator} "$@"
{generator} "$@" </dev/null
exec sleep 60
"""


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


def tried(generator: Path, directory: Path, often: str) -> list[Operation]:
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o755)
    stuck = directory / "stuck"
    stuck.write_text(STUCK.format(generator=generator, mark=directory / "mark", often=often))
    stuck.chmod(0o755)
    only = matrix.Filter(["unix-stream/send", "unix-stream/recv"], Generator.families(generator))
    with private_daemon(directory, "auto") as daemon:
        return list(matrix.run(daemon, "auto", stuck, only, lambda _: None))


@pytest.mark.parametrize("often", ["false", "true"])
def test_who_is_stuck_gets_a_second_try_and_no_third(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: str
) -> None:
    monkeypatch.setattr(programs, "_OPERATION", 3.0)
    found = tried(generator, tmp_path, often)
    status = Status.OFF if often == "true" else Status.EXACT
    assert [(each.name, each.status) for each in found] == [("send", status), ("recv", status)]
    assert "does not answer for 3 s; it is in " in found[0].note
    assert found[0].note.startswith("at the second try; ") is (often == "false")
