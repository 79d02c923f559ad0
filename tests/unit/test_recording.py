"""Recordings: what was written is read again, and whatever is in a file harms nobody."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netioctl import stats
from netioctl.main import main
from netioctl.recording import choose
from netioctl.recording import format as form
from netioctl.recording.format import RecordingError
from netioctl.recording.moments import moment
from netioctl.recording.reader import Reader
from netioctl.recording.replay import Replay
from netioctl.recording.stepped import Stepped
from netioctl.recording.writer import Writer
from netioctl.stream import Events, Lost
from netioctl.targets import Selector, Targets
from netioctl.watching import Began, Escaped, Gone, Interrupted
from netioctl.wire import layout
from netioctl.wire.endpoints import UNKNOWN
from netioctl.wire.errors import UsageError
from tests.unit.recordings import (
    BEGAN,
    NAMES,
    OTHER,
    PID,
    SECOND,
    count,
    events,
    everything,
    plain,
    process,
    summary,
    write,
)

CONNECTION = "192.168.1.100:45678 -> 93.184.216.34:80"
CHILD = process(1300, "child")
READS = [
    [events(50), events(3, OTHER, comm="nginx", conn=3, dir=1), Lost(PID, 5, "kernel")],
    [Began(CHILD, PID), events(40, begin=10 * SECOND, conn=2)],
    [Interrupted(0.25, None), Escaped(3), events(20, begin=20 * SECOND), Gone(process(), None)],
    [Lost(OTHER, 2, "stream"), Gone(process(OTHER, "nginx"), "it became another's")],
]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted beside events was noted when these happened."""
    ticks: Iterator[int] = itertools.count(BEGAN + 60 * SECOND, 1000)
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "r.netio", *READS, end=summary(11_000, 110))


def test_all_that_was_read_is_read_again(file: Path) -> None:
    replay = Replay(Reader(str(file)))
    assert everything(replay) == plain([item for items in READS for item in items])
    assert {ident: replay.connection(ident) for ident in NAMES} == NAMES
    assert [p.pid for p in replay.watched] == [PID, OTHER]
    assert replay.summary() == summary(11_000, 110)
    assert replay.problems == []
    assert file.stat().st_mode & 0o777 == 0o600


def test_some_processes_and_some_of_the_time(file: Path) -> None:
    replay = Replay(Reader(str(file)), [OTHER, 9], since=BEGAN + 1_000_000)
    found = everything(replay)
    assert [each.pid for each in found if isinstance(each, Events)] == [OTHER]
    assert count(found) == 2
    assert [error.pid for error in replay.errors] == [9]
    assert replay.summary().total == (0, 200, 0, 2)
    part = Replay(Reader(str(file)), since=BEGAN + 5 * SECOND, until=BEGAN + 10 * SECOND)
    assert count(everything(part)) == 1
    (row,) = part.summary().rows
    assert (row[:5], row.total.send_ops) == ((PID, *NAMES[2][1:]), 1)
    # A child that began later can be asked for by its PID.
    assert [p.pid for p in Replay(Reader(str(file)), [1300]).watched] == [1300]


def test_processes_are_chosen_by_what_a_recording_knows(file: Path) -> None:
    def chosen(*given: tuple[str, Any], pids: tuple[int, ...] = (), follow: bool = False) -> Any:
        selectors = tuple(Selector(kind, value, f"--{kind} {value}") for kind, value in given)
        return choose.pids(Reader(str(file)), Targets(pids, selectors, follow))

    assert chosen(("name", "nginx")) == (OTHER,)
    assert chosen(("user", 0)) == chosen(("all", None)) == (PID, OTHER, 1300)
    assert chosen(pids=(PID,), follow=True) == (PID, 1300)
    assert chosen() == ()
    with pytest.raises(RecordingError, match="has no process for --name sshd"):
        chosen(("name", "sshd"))
    with pytest.raises(UsageError, match="--cgroup 5: a recording"):
        chosen(("cgroup", 5))


def test_a_replay_keeps_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = events(3, OTHER, begin=SECOND // 2, conn=3, dir=1)
    file = write(tmp_path / "r", [events(50), others], [events(40, begin=10 * SECOND)])
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    replay = Replay(Reader(str(file)), since=BEGAN, speed=2)
    replay.open()
    assert count(replay.read()) == 1
    now += 0.0101
    assert count(replay.read()) == 20
    now += 4.98
    assert count(replay.read()) == 32
    assert replay.read() == []
    now += 0.01
    assert count(replay.read()) == 1
    # Whoever stops there is told what was shown by then.
    assert replay.summary().total == (5_100, 300, 51, 3)


def test_what_a_crash_leaves_can_be_read(tmp_path: Path, file: Path) -> None:
    whole, cut = file.read_bytes(), tmp_path / "cut"
    blocks = Reader(str(file)).blocks
    index = form.unpack_trailer(whole[-form.TRAILER_SIZE :])
    ends = {*(block.offset for block in blocks), index, len(whole) - form.TRAILER_SIZE}
    everywhere = [*range(0, len(whole), 7), index, *(b.offset for b in blocks), len(whole) - 1]
    shown = set()
    for size in everywhere:
        cut.write_bytes(whole[:size])
        try:
            reader = Reader(str(cut))
        except RecordingError:
            assert size < blocks[0].offset
            continue
        found = everything(Replay(reader))
        said = [*reader.problems, *reader.notices]
        assert len(said) == 1, (size, said)
        assert ("has no end" if size in ends else "truncated") in said[0]
        whole_blocks = [b for b in blocks if b.offset + 48 <= size and b.kind == form.STREAM]
        assert count(found) in {sum(b.events for b in whole_blocks[:n]) for n in range(5)}
        shown.add(count(found))
        reader.close()
    assert shown == {0, 53, 93, 113}


def test_totals_without_an_end_are_those_of_the_events(tmp_path: Path, file: Path) -> None:
    reader = Reader(str(file))
    (tmp_path / "cut").write_bytes(file.read_bytes()[: reader.blocks[-1].offset])
    replay = Replay(Reader(str(tmp_path / "cut")))
    everything(replay)
    found = replay.summary()
    assert found.total == (11_000, 300, 110, 3)
    assert not found.complete


def test_one_damaged_block_costs_itself_alone(tmp_path: Path, file: Path) -> None:
    whole = file.read_bytes()
    second = Reader(str(file)).blocks[2]
    for offset in (second.offset, second.offset + 5, second.offset + 60):
        for cut in (len(whole), len(whole) - form.TRAILER_SIZE):  # with an index, and without
            data = bytearray(whole[:cut])
            data[offset] ^= 0x55
            (tmp_path / "bad").write_bytes(data)
            replay = Replay(Reader(str(tmp_path / "bad")))
            assert count(everything(replay)) == 73
            (line,) = replay.problems
            assert f"corrupt at byte {second.offset:,}" in line


def test_noise_ends_in_one_line(tmp_path: Path, capsys: Any) -> None:
    path = write(tmp_path / "r", READS[0], READS[2], READS[3], end=summary(11_000, 110))
    whole, chance = path.read_bytes(), random.Random(1)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 5, 50))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            begin = chance.randrange(len(data))
            del data[begin : begin + chance.randrange(200)]
        (tmp_path / "bad").write_bytes(data)
        status = main(["watch", "--from", str(tmp_path / "bad"), "--json", "--summary"])
        err = capsys.readouterr().err
        assert status in (0, 1)
        assert len([line for line in err.splitlines() if line.startswith("netioctl:")]) <= 2
        assert status == 0 or err.startswith(("netioctl:", "replaying"))


def test_a_stranger_s_file_harms_nobody(tmp_path: Path, capsys: Any) -> None:
    """Whole blocks with right sums, and wrong or harmful things in them."""
    good_run = ["events", PID, "curl", BEGAN, 1]
    record = layout.load().structs["event"]
    event = record.pack(time=1, tgid=PID, conn=1, bytes=5, dir=9, call=200)
    ends = ["inet", "tcp", "1.2.3.4:5", "1.2.3.4:6"]
    contents: list[tuple[list[Any], Any, bytes]] = [
        ([good_run], [[1, PID, "x\x1b[2J", "\x1b]0;", "\x1b[31m/a", "\x9b1m"]], event),
        ([["events", PID, "\x1b[2J", BEGAN, 1]], [[1, PID, *ends]], event),
        ([good_run], [[1, PID, "inet", "tcp", "nonsense", "1.2.3.4:99999"]], event),
        ([["events", PID, "curl", BEGAN, 2**40]], [], event),
        ([["events", PID, "curl", -(2**70), 1]], [], event),
        ([good_run], [[1, PID, *ends]], record.pack(time=2**63, tgid=PID)),
        ([["lost", BEGAN, PID, -5, "kernel"]], [], b""),
        ([["lost", BEGAN, PID, 5, "\x1b[2J"]], [], b""),
        ([["interrupted", BEGAN, 1e308, 5]], [], b""),
        ([["gone", BEGAN, {"pid": PID}, None]], [], b""),
        ([["escaped", 0, 5]], [], b""),
        ([[]], [[]], b""),
        ([{"a": 1}], {"b": 2}, b""),
    ]
    for items, names, data in contents:
        path = write(tmp_path / "r", [events(1)], force=True)
        whole = path.read_bytes()[: Reader(str(path)).blocks[-1].offset]
        content = {"items": items, "connections": names}
        columns = form.to_columns(data, record.size)
        raw = form.pack_stream(content, columns, len(data) // record.size, record.size)
        path.write_bytes(whole + form.pack_block(form.STREAM, raw, BEGAN, BEGAN + SECOND))
        for options in ([], ["--wide"], ["--json", "--summary"]):
            assert main(["watch", "--from", str(path), *options]) in (0, 1)
            said = capsys.readouterr()
            shown = said.out + said.err
            assert "Traceback" not in shown
            assert all(char.isprintable() or char == "\n" for char in shown), (items, shown)


@pytest.mark.parametrize(
    "content",
    [
        {"rows": [], "summary": 1e308, "base": False},
        {"rows": [{"pid": 1}], "summary": {}},
        {"rows": [5], "summary": {"total": [], "processes": 7}},
        {"rows": 5},
    ],
)
def test_counters_of_a_stranger(tmp_path: Path, capsys: Any, content: Any) -> None:
    path = write(tmp_path / "r", [events(1)])
    whole = path.read_bytes()[: _end_of_blocks(path)]
    path.write_bytes(whole + form.pack_block(form.COUNTERS, form.dump(content), BEGAN, BEGAN, 1))
    assert main(["list", "--from", str(path)]) == 1
    said = capsys.readouterr()
    assert "is corrupt" in said.err
    assert "100 B" in said.out


def test_a_small_file_is_no_large_one(tmp_path: Path) -> None:
    path = write(tmp_path / "r", [events(1)])
    head = path.read_bytes()[: Reader(str(path)).blocks[0].offset]
    bomb = zlib.compress(bytes(64 << 20))
    block = form._BLOCK.pack(
        b"NBLK", form.STREAM, 0, 0, len(bomb), 1000, 1, zlib.crc32(bomb), BEGAN, BEGAN, 0
    )
    path.write_bytes(head + block + struct.pack("<I", zlib.crc32(block)) + bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replay = Replay(Reader(str(path)))
    assert everything(replay) == []
    assert "corrupt" in replay.problems[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB


def test_newer_versions(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = file.read_bytes()
    offset = Reader(str(file)).blocks[-1].offset
    unknown = form.pack_block(77, b"what may come", BEGAN, BEGAN)
    (tmp_path / "next").write_bytes(whole[:offset] + unknown)
    replay = Replay(Reader(str(tmp_path / "next")))
    assert count(everything(replay)) == 113
    monkeypatch.setattr(form, "VERSION", 2)
    monkeypatch.setattr(form, "LEAST", 2)
    write(tmp_path / "new", [events(1)])
    monkeypatch.undo()
    with pytest.raises(RecordingError, match="newer netio"):
        Reader(str(tmp_path / "new"))


@pytest.mark.parametrize("big", [False, True])
def test_events_of_another_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, big: bool
) -> None:
    """Fields in another order, one more and one less; or the other byte order."""
    other = (
        "struct event {\n\tu32 tgid;\t/* a */\n\tu32 bytes;\t/* a */\n\tu64 time;\t/* a */\n"
        "\tu32 more;\t/* new */\n\tu8 dir;\t/* a */\n\tu8 call;\t/* a */\n\tu16 pad;\t/* a */\n"
        "\tu32 conn;\t/* a */\n\tu32 tid;\t/* a */\n};\n"
    )
    order = ">" if big else "<"
    data = struct.pack(f"{order}IIQIBBHII", PID, 512, 7, 99, 1, 4, 0, 1, 77)
    monkeypatch.setattr(layout, "text_of", lambda _: other)
    if big:
        monkeypatch.setattr(form, "_ORDER_LITTLE", form._ORDER_BIG)
    path = write(tmp_path / "r")
    monkeypatch.undo()
    whole = path.read_bytes()[: Reader(str(path)).blocks[-1].offset + 500]
    content = {"items": [["events", PID, "curl", BEGAN, 1]], "connections": []}
    raw = form.pack_stream(content, form.to_columns(data, 32), 1, 32)
    path.write_bytes(whole[: _end_of_blocks(path)] + form.pack_block(1, raw, BEGAN, BEGAN + 10, 1))
    reader = Reader(str(path))
    (found,) = everything(Replay(reader))
    assert isinstance(found, Events)
    event = layout.load().structs["event"].unpack(found.data)
    assert event == {
        "time": 7, "tgid": PID, "tid": 77, "conn": 1, "bytes": 512, "lost": 0, "dir": 1,
        "call": 4, "error": 0,
    }  # fmt: skip
    assert ("byte order" if big else "another version") in reader.notices[0]


def _end_of_blocks(path: Path) -> int:
    reader = Reader(str(path))
    last = reader.blocks[-1].offset
    return last + form.BLOCK_SIZE + struct.unpack_from("<I", path.read_bytes(), last + 8)[0]


def test_files_are_rotated_and_each_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "r"
    writer = Writer(str(path), NAMES.__getitem__, max_size=64 << 10, max_files=3)
    writer.processes((process(),))
    chance, written, parts = random.Random(1), 0, []
    while len(parts) < 5:
        fields = {"bytes": chance.randrange(2**32), "tid": chance.randrange(2**32)}
        for _ in range(500):
            writer.add([events(1, begin=chance.randrange(2**40), **fields)], 0)
            written += 1
        if writer.full:
            assert writer.rotate(summary(written * 10, written), (process(),))
            parts.append(written)
    writer.close(summary(written * 10, written))
    assert sorted(os.listdir(tmp_path)) == ["r", "r.1", "r.2"]
    ends = [*parts[-3:], written]
    for name, begin, end in zip(("r.2", "r.1", "r"), ends, ends[1:]):
        replay = Replay(Reader(str(tmp_path / name)))
        assert (tmp_path / name).stat().st_size <= 64 << 10
        assert count(everything(replay)) == end - begin
        assert replay.summary().total.send_ops == end - begin


def test_no_file_is_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "r"
    (tmp_path / "r.1").write_text("mine")
    with pytest.raises(RecordingError, match=r"r\.1 is there already"):
        Writer(str(path), NAMES.__getitem__, max_size=1 << 20, max_files=2)
    assert not path.exists()
    # Whoever may write to the directory cannot have us write elsewhere.
    (tmp_path / "target").write_text("precious")
    path.symlink_to(tmp_path / "target")
    write(path, [events(1)], force=True)
    assert (tmp_path / "target").read_text() == "precious"
    assert not path.is_symlink()


def test_where_nothing_more_can_be_written(tmp_path: Path) -> None:
    path, chance = tmp_path / "r", random.Random(1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = Writer(str(path), NAMES.__getitem__)
    writer.processes((process(),))
    written = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        while writer.size < 49_000:
            writer.add([events(1, bytes=chance.randrange(2**32)) for _ in range(100)], 0)
            writer.flush()
            written += 100
        writer.add([events(1, bytes=chance.randrange(2**32)) for _ in range(500)], 0)
        with pytest.raises(RecordingError, match="what was recorded before can be read"):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    reader = Reader(str(path))
    assert count(everything(Replay(reader))) == written
    assert reader.problems == []


def test_many_rows_of_counters(tmp_path: Path) -> None:
    base = summary(0, 0)
    rows = tuple(base.rows[0]._replace(local=f"10.0.0.1:{port}") for port in range(1, 20_000))
    whole = base._replace(rows=rows, total=stats.total(rows))
    path = write(tmp_path / "r", [events(1)], end=whole)
    replay = Replay(Reader(str(path)))
    everything(replay)
    assert replay.summary() == whole


def test_ids_that_mean_something_else_later(tmp_path: Path) -> None:
    names = {1: NAMES[1]}
    writer = Writer(str(tmp_path / "r"), lambda ident: names.get(ident, UNKNOWN))
    writer.processes((process(),))
    writer.add([events(5)], 0)
    names[1] = NAMES[2]
    writer.add([events(5)], 1)
    writer.close(None)
    replay = Replay(Reader(str(tmp_path / "r")))
    seen = []
    while not replay.ended:
        replay.read()
        seen.append((replay.connection(1), replay.generation))
    assert seen == [(NAMES[1], 0), (NAMES[2], 1)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+10s", 10), ("+1.5", 1.5), ("-1m", 540), ("@1732384300", 55), ("17:50:50", 5),
        ("17:50", -45), ("17:49", 86_400 - 105), ("2024-11-23T17:51", 15),
        ("2024-11-23 17:50:46.5", 1.5), ("2024-11-23T18:51:00+01:00", 15),
        ("2024-11-23T17:51:00Z", 15),
    ],
)  # fmt: skip
def test_moments(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert moment(text, BEGAN, BEGAN + 600 * SECOND) - BEGAN == seconds * SECOND


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:61", "+1y", "12", "@", "+1e9", "1" * 40])
def test_no_moments(text: str) -> None:
    with pytest.raises(UsageError, match="not a moment"):
        moment(text, BEGAN, BEGAN + SECOND)


def test_intervals(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    replay = Stepped(Reader(str(file)), seconds=10, since=BEGAN, speed=10)
    replay.open()
    assert replay.read() == []
    now += 0.9
    assert replay.read() == []
    now += 0.11
    # The block's last item was noted much later: it is not due yet.
    assert count(replay.read()) == 53
    (first, second) = replay.held()
    assert (first.total, second.total) == ((5000, 0, 50, 0), (0, 300, 0, 3))
    assert replay.clock() == 10
    at_once = Stepped(Reader(str(file)), seconds=10, since=BEGAN)
    clocks, items = [], []
    while not at_once.ended:
        items += at_once.read()
        clocks.append(at_once.time_ns())
    assert clocks == [*range(BEGAN + 10 * SECOND, clocks[-2] + 1, 10 * SECOND), clocks[-1]]
    assert count(items) == 113
    held = {each.process.pid: each for each in at_once.held()}
    assert held[PID].total == (11_000, 0, 110, 0)
    assert held[OTHER].exited is not None
    assert not at_once.living.keys() & {PID, OTHER}
    rows = at_once.rows()[PID, PID * 100]
    assert {row.local: row.total.send_ops for row in rows} == {
        "192.168.1.100:45678": 70, "[::1]:53": 40,
    }  # fmt: skip


def test_a_clock_that_was_set_is_no_long_silence(tmp_path: Path) -> None:
    later = events(5, begin=10**9 * SECOND)
    file = write(tmp_path / "r", [events(5), later])
    replay = Stepped(Reader(str(file)), seconds=1)
    reads = []
    while not replay.ended:
        reads.append(count(replay.read()))
    assert sum(reads) == 10
    assert len(reads) < 10


def test_sums_of_a_recording(tmp_path: Path, capsys: Any) -> None:
    lost: list[Any] = [Lost(PID, 7, "kernel")]
    file = write(tmp_path / "r", [events(100, every=SECOND // 10)], lost)
    asked = ["watch", "--from", str(file), "--interval", "0.3", "--json", "--duration", "10s"]
    assert main(asked) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sums = [each for each in found if each.get("pid") == PID]
    assert sum(each["send_ops"] for each in sums) == 100
    assert {each["seconds"] for each in sums[:-1]} == {0.3}
    assert [each["send_ops"] for each in sums[1:-1]] == [3] * (len(sums) - 2)
    assert sums[1]["time"] == BEGAN / SECOND + 0.6
    assert main(["watch", "--from", str(file), "--interval", "1m", "--summary"]) == 0
    out = capsys.readouterr().out
    assert "-- 7 events lost (kernel buffer) --" in out
    assert "Send Operations:      100" in out


def test_top_of_a_recording(tmp_path: Path, capsys: Any) -> None:
    file = write(
        tmp_path / "r", [events(100, every=SECOND // 10), Lost(PID, 7, "kernel")], [], force=True
    )
    asked = ["top", "--from", str(file), "--interval", "2", "--until", "+10s"]
    assert main([*asked, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rates = [each["rate"]["sent_bytes"] for each in found if each.get("pid") == PID]
    assert rates == pytest.approx([1050, 1000, 1000, 1000, 950], abs=51)
    assert main([*asked, "--once", "--connections"]) == 0
    out = capsys.readouterr().out
    assert CONNECTION in out
    assert main(["top", "--from", str(file), "--interval", "100", "--json"]) == 0
    kinds = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert "lost" in kinds
    assert main(["top", "--replay-speed", "2", "1"]) == 2


def test_a_recording_that_began_before_what_it_is_about(tmp_path: Path) -> None:
    writer = Writer(str(tmp_path / "r"), NAMES.__getitem__)
    writer.processes(())
    writer.add([Began(process(), None), events(5)], 0)
    writer.close(None)
    replay = Replay(Reader(str(tmp_path / "r")))
    assert replay.watched == (process(),)
    assert count(everything(replay)) == 5
