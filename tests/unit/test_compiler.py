"""What is taken from BCC: real programs, compiled but not loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netiod import compiler, prerequisites
from netiod.compiled import INSN, Compiled

TOP = Path(__file__).parents[2]
TEXT = """
struct value { u64 a, b; u32 c; };
BPF_HASH(first, u32, struct value, 77);
BPF_F_TABLE("array", u32, u64, second, 5, BPF_F_MMAPABLE);
int on_one(void *ctx)
{
    u32 zero = 0;
    u64 *value = second.lookup(&zero);

    return value ? *value : 0;
}
int kfunc__vmlinux____sys_x(void *ctx)
{
    u32 zero = 0;

    return !!first.lookup(&zero);
}
"""
_CODE = """
import sys
from netiod import compiler
sys.stdout.buffer.write(compiler.compile_text(sys.stdin.read(), ["-Wno-everything"]).to_bytes())
"""


@pytest.fixture(scope="module")
def made() -> Compiled:
    if os.geteuid() != 0:
        pytest.skip("BCC makes maps as it compiles: run this as root")
    if prerequisites.bcc():
        pytest.skip("BCC is not installed")
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=TOP,
        input=TEXT.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Compiled.from_bytes(done.stdout)


def test_maps_are_as_they_were_written(made: Compiled) -> None:
    assert {each.name: each[1:] for each in made.maps} == {
        "first": (1, 4, 24, 77, 0),
        "second": (2, 4, 8, 5, 1 << 10),
    }


def test_programs_refer_to_maps_by_their_place(made: Compiled) -> None:
    places = {each.name: place for place, each in enumerate(made.maps)}
    for program, name in ("on_one", "second"), ("kfunc____sys_x", "first"):
        loads = [insn for insn in INSN.iter_unpack(made.programs[program]) if insn[0] == 0x18]
        assert [(insn[1] >> 4, insn[3]) for insn in loads] == [(1, places[name])]


def test_programs_on_functions_have_the_names_that_older_versions_give(made: Compiled) -> None:
    # BCC 0.28 and later put the module's name, vmlinux, into them.
    assert set(made.programs) == {"on_one", "kfunc____sys_x"}


def test_the_version_is_known_without_importing_it() -> None:
    if prerequisites.bcc():
        pytest.skip("BCC is not installed")
    assert "version" in compiler.version()
    assert "bcc" not in sys.modules
