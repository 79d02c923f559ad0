"""Reports of a recording: what a browser draws of the page, and the other formats."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netioctl.answers import Row, Summary, Totals
from netioctl.main import main
from netioctl.recording.writer import Writer
from netioctl.stream import Lost
from netioctl.watching import Gone
from netioctl.wire.endpoints import UNKNOWN, Connection
from tests.unit.recordings import BEGAN, SECOND, events, process

TOP = Path(__file__).parents[2]
#: Names that want to be more than text.
EVIL = "<script>bad()"
NAMES = {
    1: Connection(1234, "inet", "tcp", "10.0.0.1:50000", "10.0.0.9:80"),
    2: Connection(1235, "unix", "stream", "/run/<img src=x onerror=bad()>", "pid 7 (=$x^$\\frac)"),
    3: Connection(1234, "inet6", "udp", "[::1]:53", "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:9"),
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One minute: quiet but for its middle third, and a loss at 40 s."""
    path = tmp_path_factory.mktemp("report") / "r.netio"
    with pytest.MonkeyPatch.context() as patch:
        ticks: Iterator[int] = itertools.count(BEGAN + 40 * SECOND, 1000)
        patch.setattr(time, "time_ns", lambda: next(ticks))
        writer = Writer(str(path), lambda ident: NAMES.get(ident, UNKNOWN))
        writer.processes((process(), process(1235, EVIL)))
        for second in range(60):
            size = 60_000 if 20 <= second < 40 else 100
            begin = second * SECOND
            writer.add([events(10, begin=begin, every=SECOND // 10, bytes=size)], 0)
            writer.add([events(5, 1235, begin=begin, comm=EVIL, conn=2, dir=1, bytes=300)], 0)
        writer.add([Lost(1234, 489, "kernel"), Gone(process(1235, EVIL), None)], 0)
        sent = 10 * (20 * 60_000 + 40 * 100)
        rows = (
            Row(*NAMES[1][:5], Totals(sent, 0, 1089, 0)),
            Row(*NAMES[2][:5], Totals(0, 90_000, 0, 300)),
            Row(*NAMES[3][:5], Totals(5, 7, 1, 1)),
        )
        total = Totals(sent + 5, 90_007, 1090, 301)
        known = (process(), process(1235, EVIL))
        writer.close(Summary(total, rows, known, (), True, BEGAN / 1e9, BEGAN / 1e9 + 60))
    return path


@pytest.fixture(scope="module")
def page(file: Path) -> Path:
    path = file.with_name("report.html")
    assert main(["report", str(file), "-o", str(path)]) == 0
    return path


def test_the_page_stands_alone_and_names_are_text(page: Path) -> None:
    text = page.read_text()
    for attribute in re.findall(r'(?:src|href|action|data|poster)="([^"]*)"', text):
        assert attribute.startswith("#")
    outside = set(re.findall(r"https?://[^\"'\s<>]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert text.count("<script") == 1
    assert "<img" not in text
    assert html.escape(EVIL) in text
    identities = re.findall(r' id="([^"]+)"', text)
    assert len(identities) == len(set(identities))


#: Runs in the page, and leaves what it found where --dump-dom shows it.
PROBE = """
<script>
// A window is 500 pixels wide at least, a frame in it need not be.
const box = e => { const b = e.getBoundingClientRect(); return [b.left, b.width, b.height]; };
const table = document.querySelectorAll('section.table')[1];
const click = n => table.querySelectorAll('th button')[n].click();
const column = n => [...table.querySelectorAll('tbody tr')]
  .filter(r => !r.hidden).map(r => r.cells[n].textContent);
const found = {
  page: [document.documentElement.scrollWidth, window.innerWidth],
  sections: [...document.querySelectorAll('section')].map(box),
  pictures: [...document.querySelectorAll('section.chart')].map(s =>
    [...s.querySelectorAll('svg')].map(box).filter(b => b[1] > 0)),
  texts: [...document.querySelectorAll('svg text')].map(t => box(t)[2]).filter(h => h > 0),
  ink: getComputedStyle(document.body).color,
  back: getComputedStyle(document.body).backgroundColor,
};
click(4); found.bySent = column(4);
click(4); found.bySentUp = column(4);
click(0); found.byProcess = column(0);
const input = document.querySelector('input');
input.value = '2001:DB8'; input.dispatchEvent(new Event('input')); found.filtered = column(3);
const out = parent.document.createElement('pre');
out.id = 'probe'; out.textContent = JSON.stringify(found); parent.document.body.append(out);
</script>
"""


def chromium(page: Path, width: int, dark: bool, *options: str) -> str:
    assert CHROMIUM
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},2400",
            f"--blink-settings=preferredColorScheme={int(not dark)}", *options, page.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "dark"), [(360, True), (1100, False)])
def test_what_a_browser_draws(page: Path, width: int, dark: bool) -> None:
    probed = html.escape(page.read_text().replace("</body>", PROBE + "</body>"))
    frame = page.with_name(f"frame{width}.html")
    frame.write_text(
        "<!DOCTYPE html><style>:root { color-scheme: light dark }</style>"
        f'<iframe width={width} height=2400 style="border: 0" srcdoc="{probed}"></iframe>'
    )
    dom = chromium(frame, width, dark, "--dump-dom")
    match = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.S)
    assert match
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    # Nothing sticks out to the right: only tables are moved sideways, within their section.
    assert found["page"] == [width, width]
    assert all(left >= 0 and left + w <= width for left, w, _ in found["sections"])
    # One picture in each section, as wide as there is room, in letters that can be read.
    assert len(found["pictures"]) == 5
    for pictures in found["pictures"]:
        ((_, w, h),) = pictures
        assert w > 0.8 * min(width, 1040)
        assert 60 < h < 600
    assert min(found["texts"]) >= 9
    channels = [sum(map(int, re.findall(r"\d+", found[c])[:3])) for c in ("ink", "back")]
    assert (channels[0] > channels[1]) is dark
    assert found["bySent"] == ["11.5 MB", "5 B", "0 B"]
    assert found["bySentUp"] == ["0 B", "5 B", "11.5 MB"]
    assert [text.split()[0] for text in found["byProcess"]] == ["1234", "1234", "1235"]
    assert found["filtered"] == [NAMES[3].remote]
    shot = page.with_name(f"{width}.png")
    chromium(page, width, dark, f"--screenshot={shot}")
    _see_the_course(shot, (110, 168, 255) if dark else (34, 103, 201))


def _see_the_course(shot: Path, colour: tuple[int, int, int]) -> None:
    """In the first picture the sent curve is high in its middle third and low beside it."""
    from matplotlib.image import imread

    pixels = (imread(shot)[:, :, :3] * 255).round().astype(int)
    own = np.abs(pixels - np.array(colour)).sum(axis=2) < 24
    # The high third of the curve is the first long line of that colour from above.
    rows = own.sum(axis=1)
    top = int(np.argmax(rows > 0.15 * pixels.shape[1]))
    high = np.flatnonzero(own[top])
    width = pixels.shape[1]
    assert 0.22 < len(high) / width < 0.40
    assert 0.30 < high.min() / width < 0.45
    assert 0.60 < high.max() / width < 0.75
    # The dotted line of the loss stands where the curve comes down.
    bad = np.array((255, 138, 128) if colour[0] > 100 else (179, 38, 30))
    lost = (np.abs(pixels - bad).sum(axis=2) < 90)[top : top + 60]
    assert np.abs(np.flatnonzero(lost.sum(axis=0) > 5) - high.max()).min() < 0.02 * width


def test_json_has_everything(file: Path, capsys: Any) -> None:
    assert main(["report", str(file), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"]["sent_bytes"] == 12_040_005
    assert found["events"] == 900
    assert found["throughput"]["step"] == 0.5
    course = found["throughput"]["sent_bytes"]
    assert sum(course) == 12_040_000
    assert course[40] == 300_000
    assert sum(map(sum, found["throughput"]["by_process"].values())) == 12_130_000
    assert [(s["below"], s["send_ops"], s["recv_ops"]) for s in found["sizes"]] == [
        (128, 400, 0), (512, 0, 300), (65536, 200, 0),
    ]  # fmt: skip
    assert found["losses"][0]["missing"] == 489
    assert found["peers"][0] == {
        "peer": "10.0.0.9", "sent_bytes": 12_040_000, "recv_bytes": 0, "send_ops": 1089,
        "recv_ops": 0,
    }  # fmt: skip
    part = ["report", str(file), "--format", "json", "--since", "+20s", "--until", "+25s", "1234"]
    assert main(part) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total"]["sent_bytes"], found["exact"]) == (5 * 600_000 + 60_000, False)
    assert [p["pid"] for p in found["processes"]] == [1234]


def test_csv_and_markdown(file: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["report", str(file), "-o", str(tmp_path / "r.csv")]) == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    assert [(r["pid"], r["sent_bytes"]) for r in rows] == [
        ("1234", "12040000"), ("1235", "0"), ("1234", "5"),
    ]  # fmt: skip
    assert main(["report", str(file), "--format", "csv", "--table", "events"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 900
    assert sum(int(r["bytes"]) for r in rows if r["dir"] == "send") == 12_040_000
    assert main(["report", str(file), "--format", "md"]) == 0
    text = capsys.readouterr().out
    assert "489 events of process 1234 lost (kernel buffer)" in text
    assert "| 1235 | &lt;script>bad() | 0 | 90,000 | 0 | 300 |" in text


def test_parquet(file: Path, tmp_path: Path) -> None:
    python = TOP / ".venv" / "bin" / "python"
    there = (
        python.exists()
        and not subprocess.run(
            [python, "-c", "import pyarrow.parquet"], capture_output=True, check=False
        ).returncode
    )
    if not there:
        pytest.skip("needs pyarrow in .venv")
    code = (
        "import sys; from netioctl.main import main; import pyarrow.parquet as p;"
        "assert main(sys.argv[1:]) == 0; t = p.read_table(sys.argv[3]).to_pydict();"
        "print(len(t['bytes']), sum(t['bytes']), t['time'][0].timestamp(), t['comm'][-1])"
    )
    asked = ["report", "-o", str(tmp_path / "e.parquet"), str(file), "--table", "events"]
    done = subprocess.run(
        [python, "-c", code, *asked], capture_output=True, text=True, check=False, cwd=TOP
    )
    assert done.stdout == f"900 12130000 {BEGAN / 1e9} {EVIL}\n", done.stderr


def test_what_is_missing_is_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for name, package in (("r.html", "python3-matplotlib"), ("r.parquet", "pip install pyarrow")):
        assert main(["report", str(file), "-o", str(tmp_path / name)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert package in line
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_recording_is_reported_as_far_as_it_goes(file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-1500])
    assert main(["report", str(tmp_path / "cut"), "-o", str(tmp_path / "r.html")]) == 1
    text = (tmp_path / "r.html").read_text()
    assert "is truncated" in text
    assert "Totals are the sum of the events shown" in text
