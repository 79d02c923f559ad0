"""What the accuracy matrix keeps: one entry for each series of kernels, back-end and BCC."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy import keeping, page, results
from tests.accuracy.results import Book, Operation, Run, Status, SystemTests

EXACT = Operation("tcp4", "send", "send", Status.EXACT)
OFF = Operation("tcp4", "recv", "recv", Status.OFF, (0, 10), (0, 9), "a byte short")
ABSENT = Operation("sctp4", "socket", "both", Status.ABSENT, note="EPROTONOSUPPORT no such thing")


def run(
    kernel: str, backend: str = "kprobe", bcc: str = "0.26.0", *operations: Operation, why: str = ""
) -> Run:
    return Run(kernel, "x86_64", backend, "2026-01-01", bcc, why, ("a hook",), operations)


def outcome(kernel: str, passed: int = 3, bcc: str = "0.26.0") -> SystemTests:
    skipped = (("test_a::test_b", "not here"),)
    return SystemTests(kernel, "x86_64", "2026-01-01", bcc, passed, (), skipped)


@pytest.mark.parametrize(
    ("release", "series"),
    [
        ("6.1.0-50-amd64", "6.1"),
        ("7.2.13+deb14-amd64", "7.2"),
        ("6.18.44-fc-v595", "6.18"),
        ("5.10.0-32-amd64", "5.10"),
    ],
)
def test_series(release: str, series: str) -> None:
    assert results.series(release) == series


def test_a_newer_build_of_a_series_takes_the_place_of_the_older() -> None:
    older = Book((run("6.1.0-49-amd64"), run("6.12.3")), (outcome("6.1.0-49-amd64"),))
    newer = Book((run("6.1.0-50-amd64"),), (outcome("6.1.0-50-amd64"),))
    merged = results.merge(older, newer)
    assert [each.kernel for each in merged.runs] == ["6.1.0-50-amd64", "6.12.3"]
    assert [each.kernel for each in merged.tests] == ["6.1.0-50-amd64"]


def test_other_series_back_ends_and_versions_of_bcc_stay() -> None:
    older = Book((run("6.1.0"), run("6.1.0", "fexit"), run("6.18.1")), (outcome("6.1.0"),))
    newer = Book((run("6.1.0", bcc="0.31.0"), run("6.12.0")), (outcome("6.1.0", bcc="0.31.0"),))
    merged = results.merge(older, newer)
    assert len(merged.runs) == 5
    assert len(merged.tests) == 2


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    runs = (
        run("5.10.1", "syscall", "0.26.0", EXACT, OFF, ABSENT),
        run("6.12.1", "tracepoint", why="netiod: no back-end could be attached: tracepoint: gone"),
    )
    book = Book(runs, (outcome("5.10.1"),))
    results.save(tmp_path / "file", Book(runs[::-1], book.tests))
    loaded = results.load(tmp_path / "file")
    assert [each.kernel for each in loaded.runs] == ["5.10.1", "6.12.1"]
    assert set(loaded.runs[0].operations) == {EXACT, OFF, ABSENT}
    assert loaded.runs[1] == runs[1]
    assert loaded.tests == book.tests


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="not results of format"):
        results.load(tmp_path / "file")


def test_a_book_is_good_unless_something_is_off() -> None:
    assert Book((run("6.1.0", "kprobe", "0.26.0", EXACT),), (outcome("6.1.0"),)).good
    assert not Book((run("6.1.0", "kprobe", "0.26.0", EXACT, OFF),)).good
    assert not Book((), (outcome("6.1.0", passed=0),)).good
    assert not Book((), (outcome("6.1.0")._replace(failed=(("a", "b"),)),)).good


def test_the_page_names_all() -> None:
    book = Book(
        (
            run("6.1.0-50-amd64", "kprobe", "0.26.0", EXACT, OFF, ABSENT),
            run(
                "6.1.0-50-amd64", "tracepoint", why="x no back-end could be attached: tracepoint: y"
            ),
        ),
        (outcome("6.1.0-50-amd64", 17)._replace(failed=(("test_c", "it broke | twice"),)),),
    )
    text = page.document(book)
    assert "| 6.1.0-50-amd64 x86_64 | kprobe | 1 | 0 | 1 | 0 | 1 | 0.26.0 | 2026-01-01 |" in text
    assert "| tracepoint | does not run: y |" in text
    assert "| `recv`" not in text  # its families stand beside the operation
    assert "| recv | 0/10 | 0/9 | OFF | a byte short | tcp4 |" in text
    assert "| 17 | `test_c`: it broke \\| twice | `test_a::test_b`: not here |" in text
    assert "| 6.1.0-50-amd64 | EPROTONOSUPPORT | `socket` on sctp4 |" in text


def test_results_of_two_kernels_stand_on_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "STORE", tmp_path / "accuracy.json")
    monkeypatch.setattr(keeping, "PAGE", tmp_path / "ACCURACY.md")
    keeping.keep(Book((run("6.18.1-a", "syscall", "0.26.0", EXACT),)))
    keeping.keep(Book((run("6.1.0-50", "kprobe", "0.26.0", EXACT),), (outcome("6.1.0-50"),)))
    keeping.keep(Book((run("6.18.1-b", "syscall", "0.26.0", EXACT, EXACT),)))
    text = (tmp_path / "ACCURACY.md").read_text()
    assert "| 6.1.0-50 x86_64 | kprobe | 1 |" in text
    assert "| 6.18.1-b x86_64 | syscall | 2 |" in text
    assert "6.18.1-a" not in text
    assert "| 6.1.0-50 | 0.26.0 | 3 | none |" in text
