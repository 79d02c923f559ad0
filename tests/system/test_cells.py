"""Where the counters of processes and connections lie, and what older kernels lack for it."""

from __future__ import annotations

import pytest

from tests.system.conftest import StartDaemon, StartTraffic, wait_until

#: Python that makes a kernel look older to the loader.
_WITHOUT = {
    "bpf_rdonly_cast": "deny('bpf_rdonly_cast')",
    "bpf_task_pt_regs": "deny('bpf_rdonly_cast'); deny('bpf_task_pt_regs')",
    "atomic fetch": "from netiod.features import Features; Features.atomic_fetch = False",
}
_DENY = """
from netiod.btf import Btf
def deny(denied):
    known = Btf.function_id
    Btf.function_id = lambda self, name: None if name == denied else known(self, name)
"""


def test_processes_whose_cell_is_taken_are_counted_elsewhere(
    start_daemon: StartDaemon, traffic: StartTraffic
) -> None:
    """Of four cells, five processes cannot each have their own."""
    daemon = start_daemon("--max-pids", 4)
    everyone = [traffic("stream", 10, 100) for _ in range(5)]
    for one in everyone[:4]:
        assert daemon.ctl("add", one.pid).returncode == 0
    refused = daemon.ctl("add", everyone[4].pid)
    assert refused.returncode == 1
    assert "the filter is full: it holds 4 processes" in refused.stderr
    for one in everyone[:4]:
        said = one.run()
        total = daemon.summary(one.pid)["total"]
        assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])
    # One that goes makes room, wherever it was, and its totals stay.
    sent = daemon.summary(everyone[0].pid)["total"]["sent_bytes"]
    everyone[0].end()
    wait_until(lambda: daemon.status()["held"] == 3, what="the exit was heard of")
    assert daemon.ctl("remove", everyone[1].pid).returncode == 0
    for one in (everyone[1], everyone[4]):
        assert daemon.ctl("add", one.pid).returncode == 0
        said = one.run()
        total = daemon.summary(one.pid)["total"]
        assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])
    assert daemon.summary(everyone[0].pid)["total"]["sent_bytes"] == sent


@pytest.mark.parametrize("lacking", _WITHOUT)
def test_what_only_newer_kernels_have_can_be_done_without(
    start_daemon: StartDaemon, traffic: StartTraffic, backend: str, lacking: str
) -> None:
    # Rows that cannot be counted off are all made ready before: not too many for this.
    options = ("--backend", backend, "--max-connections", 100)
    daemon = start_daemon(*options, setup=_DENY + _WITHOUT[lacking])
    one = traffic("short_connections", 150)
    assert daemon.ctl("add", one.pid).returncode == 0
    said = one.run()
    summary = daemon.summary(one.pid)
    total = summary["total"]
    assert (total["sent_bytes"], total["recv_bytes"]) == (said["sent"], said["recv"])
    assert sum(row["sent_bytes"] for row in summary["connections"]) == said["sent"]
    assert any(row["family"] == "inet" for row in summary["connections"])
