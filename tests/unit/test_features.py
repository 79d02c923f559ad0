"""What is asked of a kernel's types; the rest is asked of the kernel, if this is root's test."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from netioctl.wire.errors import PrerequisiteError
from netiod import features
from netiod.btf import Btf
from netiod.features import Features, check_ring_buffer
from netiod.maps import MapError


def _with(*names: str) -> Features:
    has = names.__contains__
    return Features(SimpleNamespace(has_function=has, has_variable=has))  # type: ignore[arg-type]


def test_kprobes_and_cgroup_hooks_are_known_by_their_functions() -> None:
    kernel = _with("register_kprobe")
    assert (kernel.kprobes, kernel.cgroup_hooks) == (True, False)
    kernel = _with("__cgroup_bpf_run_filter_sock_addr")
    assert (kernel.kprobes, kernel.cgroup_hooks) == (False, True)


@pytest.mark.parametrize(
    ("names", "preemptible"),
    [
        ((), False),  # no SRCU at all
        (("tracepoint_srcu_srcu_data", "srcu_free_old_probes"), False),  # SRCU for idle CPUs
        (("tracepoint_srcu_srcu_data",), True),  # SRCU alone
    ],
)
def test_tracepoints_that_srcu_alone_protects_can_be_preempted(
    names: tuple[str, ...], preemptible: bool
) -> None:
    assert _with(*names).preemptible_tracepoints is preemptible


def test_a_kernel_without_ring_buffer_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_command: int, _attr: object) -> int:
        raise MapError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(features, "bpf", refuse)
    with pytest.raises(PrerequisiteError, match=r"BPF_MAP_TYPE_RINGBUF.*Linux 5\.8"):
        check_ring_buffer()


def test_another_refusal_is_left_to_what_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_command: int, _attr: object) -> int:
        raise MapError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(features, "bpf", refuse)
    check_ring_buffer()


@pytest.mark.skipif(os.geteuid() != 0, reason="asks the kernel's BPF, which takes root")
def test_this_kernel_answers() -> None:
    check_ring_buffer()
    types = Btf.of_kernel()
    kernel = Features(types)
    # Atomic operations that fetch came with 5.12, helpers that this kernel has with 5.15.
    assert kernel.atomic_fetch or not types.has_function("bpf_task_pt_regs")
    assert types.has_variable("runqueues")
    assert not types.has_variable("no_such_variable")
