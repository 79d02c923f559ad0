"""`./netio kernels`: what it makes of a guest's results, and of what cannot be had."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from netiod.settings import BACKENDS
from tests.accuracy import results
from tests.accuracy.results import Book, Operation, Run, Status
from tests.kernels import cli, machine, matrix, packages, userland
from tests.kernels.errors import KernelsError, NoKernel
from tests.kernels.machine import Outcome
from tests.kernels.packages import Kernel
from tests.kernels.running import Ended, Job

RELEASE = "6.1.0-50-amd64"
GONE = "netiod: no back-end could be attached: {0}: this kernel has no {0}"
GOOD = '<testsuite><testcase classname="tests.system.test_a" name="test_b[x]"/></testsuite>'
BAD = (
    '<testsuite><testcase classname="tests.system.test_a" name="test_b"/>'
    '<testcase classname="tests.system.test_a" name="test_c">'
    '<failure message="assert 1 == 2&#10;more"/></testcase>'
    '<testcase classname="tests.system.test_a" name="test_d"><skipped message="not here"/>'
    "</testcase></testsuite>"
)


def operations(count: int) -> tuple[Operation, ...]:
    return tuple(Operation("tcp4", f"op{i}", "send", Status.EXACT) for i in range(count))


def write_run(share: Path, backend: str, *found: Operation, why: str = "") -> None:
    run = Run(RELEASE, "x86_64", backend, "2026-01-01", "0.26.0", why, (), found)
    results.save(share / f"{backend}.json", Book((run,)))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """What a guest leaves where all is as it should be."""
    for backend in BACKENDS:
        if backend == "tracepoint":
            write_run(tmp_path, backend, why=GONE.format(backend))
        else:
            write_run(tmp_path, backend, *operations(400))
    (tmp_path / "tests.xml").write_text(GOOD)
    return tmp_path


def found(share: Path, outcome: Outcome | None = None, output: str = "") -> matrix.Found:
    job = Job(Kernel("bookworm", "6.1.1-1", RELEASE, "", ""), "", results=share, part="kprobe")
    return matrix.judge([Ended(job, outcome or Outcome(0, 1.0, 99.0), output)])


def test_nothing_is_wrong(share: Path) -> None:
    each = found(share)
    assert each.wrong == []
    assert [run.backend for run in each.runs] == list(BACKENDS)
    assert each.tests[0].passed == 1
    text = matrix.text(each)
    assert f"{RELEASE}: 99 s" in text
    assert "kprobe:     400 exact" in text
    assert "tracepoint: does not run: this kernel has no tracepoint" in text


def test_what_is_off_is_named(share: Path) -> None:
    off = Operation("udp6", "recv", "recv", Status.OFF, (0, 10), (0, 9), "short")
    write_run(share, "fexit", *operations(400), off)
    assert found(share).wrong == ["fexit: udp6/recv: returned 0/10, counted 0/9 (short)"]


def test_a_back_end_that_the_kernel_must_have(share: Path) -> None:
    write_run(share, "kprobe", why=GONE.format("kprobe"))
    assert found(share).wrong == ["kprobe: does not run: this kernel has no kprobe"]


def test_little_was_run(share: Path) -> None:
    write_run(share, "syscall", *operations(20))
    assert found(share).wrong == ["syscall: no more than 20 operations are exact"]


def test_a_run_that_broke_off(share: Path) -> None:
    (share / "fexit.json").unlink()
    (share / "fexit.log").write_text("one line\nKeyError: 3\n")
    (share / "tests.xml").unlink()
    assert found(share).wrong == ["fexit: no results: KeyError: 3", "system tests: no results"]


def test_tests_that_failed_or_were_skipped(share: Path) -> None:
    (share / "tests.xml").write_text(BAD)
    each = found(share)
    assert each.wrong == ["test_a::test_c: assert 1 == 2"]
    assert each.tests[0].passed == 1
    assert each.tests[0].skipped == (("test_a::test_d", "not here"),)
    assert "skipped test_a::test_d: not here" in matrix.text(each)


def test_a_guest_that_did_not_come_to_its_end(tmp_path: Path) -> None:
    wrong = found(tmp_path, Outcome(None, 1.0, 5.0, "not done after 5 s: ended")).wrong
    assert wrong[0] == "kprobe: not done after 5 s: ended"
    assert len(wrong) == 1 + len(BACKENDS)


def test_a_guest_whose_command_failed(share: Path) -> None:
    wrong = found(share, Outcome(1, 1.0, 5.0), "progress: x\nImportError: no module\n").wrong
    assert wrong == ["kprobe: status 1: ImportError: no module"]


def test_a_kernel_took_from_the_first_beginning_to_the_last_end(share: Path) -> None:
    kernel = Kernel("bookworm", "6.1.1-1", RELEASE, "", "")
    outcomes = {"kprobe": Outcome(0, 10.0, 50.0), "fexit": Outcome(None, 5.0, 20.0, "stopped")}
    each = matrix.judge(
        [Ended(Job(kernel, "", results=share, part=name), o, "") for name, o in outcomes.items()]
    )
    assert each.seconds == 55.0
    assert each.wrong == ["fexit: stopped"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def nothing_boots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No virtual machine, and a cache without kernels; the suites that a run would boot."""
    booted: list[str] = []

    def run(kernels: list[Kernel], *_: object) -> bool:
        booted.extend(kernel.suite for kernel in kernels)
        return True

    def fetch(suite: packages.Suite, _: object) -> Kernel:
        if suite.name == "bullseye":
            raise NoKernel("http://mirror/ does not have this suite any more")
        return Kernel(suite.name, f"{suite.series or '7.9'}.1-1", "", "", "")

    monkeypatch.setenv("NETIO_CACHE", str(tmp_path))
    monkeypatch.setattr(matrix, "run", run)
    monkeypatch.setattr(packages, "fetch", fetch)
    monkeypatch.setattr(cli, "check_host", lambda: None)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    return booted


@needs_root
def test_a_suite_that_is_gone_is_skipped_and_told(
    nothing_boots: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([]) == 1
    assert nothing_boots == ["bookworm", "trixie", "sid"]
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["bullseye: skipped: http://mirror/ does not have this suite any more"]


@needs_root
@pytest.mark.parametrize(
    ("words", "suites"),
    [
        (["--only", "6.1"], ["bookworm"]),
        (["--only", "sid", "trixie"], ["trixie", "sid"]),
        (["--only", "7.9"], ["sid"]),
    ],
)
def test_only_some(nothing_boots: list[str], words: list[str], suites: list[str]) -> None:
    assert cli.main(words) == 0
    assert nothing_boots == suites


@needs_root
def test_a_command_runs_in_the_userland_that_was_asked_for(
    nothing_boots: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr(cli, "run_all", lambda some, *_: jobs.extend(some) or [])
    monkeypatch.setattr(userland, "fetch", lambda *_: tmp_path)
    cli.main(["--userland", "trixie", "--command", "true"])
    assert [(job.kernel.suite, job.root) for job in jobs] == [("trixie", tmp_path)]
    assert nothing_boots == []


@needs_root
def test_a_kernel_that_nobody_knows(
    nothing_boots: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--only", "4.19"]) == 1
    assert nothing_boots == []
    assert capsys.readouterr().err == "kernels: no kernel here is called 4.19: see --list\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--write", "--command", "true"],
        ["--jobs", "0"],
        ["--limit", "soon"],
        ["--userland", "woody"],
        ["--memory", "much"],
    ],
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "./netio kernels: error: " in capsys.readouterr().err.splitlines()[-1]


def test_of_a_panic_the_beginning_is_shown() -> None:
    console = [f"line {i}" for i in range(50)]
    assert machine.complaint("late", console) == ("late", "\n".join(console[-30:]))
    console.insert(3, "[    7.7] Kernel panic - not syncing: sysrq triggered crash")
    why, text = machine.complaint("switched off", console)
    assert why == "switched off: the kernel panicked: sysrq triggered crash"
    assert text.splitlines()[1] == "line 3"
    assert len(text.splitlines()) == 30


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "apt-get failed: E: Failed to fetch http://m/x  Temporary failure resolving 'm'\n"
            "E: Some index files failed to download.",
            "Failed to fetch http://m/x Temporary failure resolving 'm'",
        ),
        ("I: running\nE: Release file is expired.\nI: waiting\n", "Release file is expired."),
        ("mmdebstrap: killed\n", "mmdebstrap: killed"),
        ("", "no word why"),
    ],
)
def test_of_all_that_apt_writes_one_line_is_told(text: str, reason: str) -> None:
    assert packages.first_reason(text) == reason


def test_what_a_killed_program_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETIO_CACHE", str(tmp_path))
    own = machine.scratch("sid")
    gone = own.with_name("sid-4194304-abc")
    gone.mkdir()
    again = machine.scratch("matrix")
    assert set(own.parent.iterdir()) == {own, again}


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KernelsError, match="qemu-system-x86_64 is missing: install qemu"):
        machine.check_host()


def test_the_command_inside_a_userland_is_a_shell_command() -> None:
    text = userland.inside(Path("/a cache/sid"), Path("/some/check out"), "exec echo 'a b'")
    subprocess.run(["dash", "-n"], input=text, text=True, check=True)
    assert "mkdir -p ./some" not in text  # a space in it has to stay one word
    assert text.splitlines()[-1].startswith("exec chroot . /bin/sh -c ")
