"""What bcc is asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netiod import attach
from netiod.hooks import FENTRY, FEXIT, KPROBE, Hook


@pytest.mark.parametrize(
    ("kind", "program", "old", "new"),
    [
        (FENTRY, "kfunc__sock_x", b"kfunc__sock_x", b"kfunc__vmlinux__sock_x"),
        (FEXIT, "kretfunc____sys_x", b"kretfunc____sys_x", b"kretfunc__vmlinux____sys_x"),
        (KPROBE, "on_x", b"on_x", b"on_x"),
    ],
)
def test_programs_on_functions_are_named_as_bcc_wants_it(
    kind: str, program: str, old: bytes, new: bytes
) -> None:
    hook = Hook(kind, "x", program)
    before = SimpleNamespace(has=lambda name: name == old)
    since = SimpleNamespace(has=lambda name: name == new)
    assert attach.program_name(before, hook) == old
    assert attach.program_name(since, hook) == new
