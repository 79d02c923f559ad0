"""Rotated recordings (FILE, FILE.1 ...) are one: in order, with exact totals, and no gap unsaid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netioctl.main import main
from netioctl.recording.format import RecordingError
from netioctl.recording.parts import Parts
from netioctl.recording.replay import Replay
from netioctl.recording.writer import Writer
from netioctl.report import gather
from netioctl.stream import Events
from netioctl.watching import Began, Interrupted
from tests.unit.recordings import (
    BEGAN,
    NAMES,
    PID,
    SECOND,
    count,
    events,
    everything,
    process,
    summary,
    write,
)

FILES, EACH = 5, 7
LATE = 4321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The last four of five files, each with seven events, one a second, of 100 bytes."""
    path = tmp_path / "ring"
    writer = Writer(str(path), NAMES.__getitem__, max_files=FILES - 1)
    writer.processes((process(),))
    for part in range(FILES):
        if part == 2:
            writer.add([Began(process(LATE, "late"), PID)], 0)
        writer.add([events(EACH, begin=part * EACH * SECOND, every=SECOND)], 0)
        if part < FILES - 1:
            done = (part + 1) * EACH
            living = (process(),) if part < 2 else (process(), process(LATE, "late"))
            assert writer.rotate(summary(done * 100, done), living)
    writer.close(summary(FILES * EACH * 100, FILES * EACH))
    return path


def times(replay: Replay) -> list[int]:
    """Seconds since the beginning, of all that is replayed."""
    found = []
    for item in everything(replay):
        if isinstance(item, Events):
            data = bytes(item.data)
            step = len(data) // item.number
            found += [
                int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), step)
            ]
    return [time // SECOND for time in found]


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, list[str]]:
    status = main([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return status, out, [line for line in err.splitlines() if line.startswith("netioctl: ")]


def test_the_files_beside_it_come_first(path: Path) -> None:
    replay = Replay(Parts([str(path)]))
    assert times(replay) == list(range(EACH, FILES * EACH))
    assert replay.summary().total.send_ops == 4 * EACH
    assert replay.summary().complete
    assert not replay.problems
    # By name it is one of them alone.
    one = Replay(Parts([f"{path}.3"]))
    assert times(one) == list(range(EACH, 2 * EACH))
    assert one.summary().total.send_ops == EACH


def test_several_are_just_these_in_the_order_in_which_they_were_written(path: Path) -> None:
    two = Replay(Parts([f"{path}.1", f"{path}.2"]))
    assert times(two) == list(range(2 * EACH, 4 * EACH))
    assert two.summary().total.sent_bytes == 2 * EACH * 100


def test_a_part_of_the_time(path: Path) -> None:
    since, until = (BEGAN + seconds * SECOND for seconds in (12, 22))
    part = Replay(Parts([str(path)]), since=since, until=until)
    assert times(part) == list(range(12, 23))
    assert part.summary().total.send_ops == 11


def test_a_file_that_is_missing_is_told_once(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path.parent / "ring.2").unlink()
    replay = Replay(Parts([str(path)]))
    items = everything(replay)
    assert count(items) == 3 * EACH
    assert [item.events for item in items if isinstance(item, Interrupted)] == [None]
    # It began in what is missing.
    assert {each.pid for each in replay.watched} == {PID, LATE}
    # The kernel counted on.
    assert replay.summary().total.send_ops == 4 * EACH
    line = f"netioctl: a file is missing between {path}.3 and {path}.1: "
    for verb in ("watch", "summary", "top"):
        status, _, err = said(
            capsys, verb, "--from", path, "--json", *(["--count", 2] if verb == "top" else [])
        )
        found = [each for each in err if each.startswith(line)]
        assert (status, len(found)) == (1, 1), (verb, err)
    assert (
        gather.gather(Parts([str(path)]), (), None, None, lambda _: None).problems[0]
        in line + (replay.problems[0])
    )


def test_the_last_may_be_cut_off(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(path.read_bytes()[:-200])
    status, out, err = said(capsys, "watch", "--json", "--from", path)
    assert sum(json.loads(line)["type"] == "event" for line in out.splitlines()) == 4 * EACH
    assert (status, len(err)) == (1, 1)
    assert "is truncated" in err[0]
    replay = Replay(Parts([str(path)]))
    replay.skip()
    assert replay.summary().total.sent_bytes == 4 * EACH * 100


def test_the_first_may_not_have_been_begun(path: Path) -> None:
    path.unlink()
    parts = Parts([str(path)])
    assert parts.notices == [f"{path} is missing: shown are those before it"]
    assert times(Replay(parts)) == list(range(EACH, 4 * EACH))


def test_what_is_of_another_recording_is_passed_over(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "ring.17", [events(3)])
    (tmp_path / "ring.18").write_text("no recording")
    (tmp_path / "ring.old").write_text("no recording")
    parts = Parts([str(path)])
    (line,) = parts.notices
    assert line == (
        f"passed over: {path}.17 is of another recording than {path} (and 1 more such files)"
    )
    assert count(everything(Replay(parts))) == 4 * EACH
    with pytest.raises(RecordingError, match=r"ring\.17 is of another recording than"):
        Parts([str(path), f"{path}.17"])


def test_a_file_that_was_renamed_while_it_was_looked_for_counts_once(path: Path) -> None:
    (path.parent / "ring.4").write_bytes((path.parent / "ring.3").read_bytes())
    assert times(Replay(Parts([str(path)]))) == list(range(EACH, FILES * EACH))
    assert times(Replay(Parts([str(path), str(path)]))) == list(range(4 * EACH, 5 * EACH))


def test_no_such_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        Parts([str(tmp_path / "r")])


def test_a_report_has_all_files(path: Path) -> None:
    report = gather.gather(Parts([str(path)]), (), None, None, lambda _: None)
    assert (report.events, report.exact) == (4 * EACH, True)
    assert report.summary.total.sent_bytes == 4 * EACH * 100
