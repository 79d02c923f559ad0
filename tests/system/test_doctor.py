"""`netioctl doctor` beside a netiod that works."""

from __future__ import annotations

import pytest

from tests.system.conftest import ALICE, Daemon


@pytest.mark.parametrize("uid", [None, ALICE], ids=["root", "a user"])
def test_nothing_fails_where_netiod_works(daemon: Daemon, uid: int | None) -> None:
    rows = daemon.json("doctor", uid=uid)
    found = {row["check"]: row for row in rows}
    assert not [row for row in rows if row["result"] == "fail"]
    assert found["daemon"]["result"] == "ok"
    assert found["BPF"]["result"] == ("ok" if uid is None else "unknown")
    backend = daemon.status()["backend"]
    for blind in backend["blind"]:
        assert any(row["text"].endswith(blind) for row in rows if row["check"] == "back-end")
