"""The pictures of a report: matplotlib's SVG, whose colours are those of the page around it."""

from __future__ import annotations

import io
import logging
import math
import re
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from netioctl.render.words import short_size
from netioctl.report.gather import MOST_SERIES, Report, Series
from netioctl.wire.errors import PrerequisiteError

#: Points of matplotlib's, inches: the page scales them to its own width.
_WIDE, _NARROW = 9.2, 3.7
_KB = 1024
#: Stand-ins that become the page's colours: ink, grid, loss, sent, received, series.
_INK, _GRID, _LOSS, _SENT, _RECEIVED = "#010001", "#010002", "#010003", "#010004", "#010005"
_SERIES = tuple(f"#02000{at}" for at in range(MOST_SERIES + 1))
_VARIABLES = {
    _INK: "ink-2", _GRID: "line", _LOSS: "bad", _SENT: "sent", _RECEIVED: "received",
    **{colour: f"c{at}" for at, colour in enumerate(_SERIES)},
}  # fmt: skip
_PEERS = 12
#: From so many seconds on an axis has times of day; steps that are round on a clock.
_CLOCK = 300
_ROUND = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


class Chart(NamedTuple):
    """A picture for wide and for narrow screens, and what its colours mean: label, CSS variable."""

    title: str
    about: str
    wide: str
    narrow: str
    legend: tuple[tuple[str, str], ...] = ()


def check() -> None:
    """Whether matplotlib is there.

    Raises:
        PrerequisiteError: no; says which package has it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise PrerequisiteError(
            "a page needs matplotlib to draw: apt-get install python3-matplotlib, or "
            "dnf install python3-matplotlib; --format md, csv and json do without"
        ) from None


def charts(report: Report) -> list[Chart]:
    """All pictures of a report that have something to show."""
    if not report.events:
        return []
    ways = (("sent", "sent"), ("received", "received"))
    return [
        _chart(
            "Throughput", _about_losses(report), report, _throughput, 2.6, ways
        ),
        _chart(
            "By process", "Bytes sent and received, on top of each other.", report,
            lambda axes, r, narrow: _stack(axes, r, r.by_process, narrow), 2.4,
            _legend(report.by_process),
        ),
        _chart(
            "By connection", "The heaviest connections, on top of each other.", report,
            lambda axes, r, narrow: _stack(axes, r, r.by_connection, narrow), 2.4,
            _legend(report.by_connection),
        ),
        _chart(
            "Sizes of operations",
            "How many operations moved so many bytes: each bar up to twice the one before.",
            report, _sizes, 2.4, ways,
        ),
        _chart(
            "Biggest peers", "Bytes by the other end of connections.", report, _peers,
            0.6 + 0.36 * min(_PEERS, len(report.peers)), ways,
        ),
    ]  # fmt: skip


def _about_losses(report: Report) -> str:
    text = "Bytes a second as the sockets moved them."
    return text + (" Dotted: here events are missing." if report.losses else "")


def _legend(series: Sequence[Series]) -> tuple[tuple[str, str], ...]:
    return tuple((each.label, f"c{_colour(each, at)}") for at, each in enumerate(series))


def _colour(series: Series, at: int) -> int:
    return MOST_SERIES if series.label == "all others" else at


def _chart(
    title: str,
    about: str,
    report: Report,
    draw: Callable[[Any, Report, bool], None],
    height: float,
    legend: tuple[tuple[str, str], ...],
) -> Chart:
    wide = _svg(title, _WIDE, height, lambda axes: draw(axes, report, False))
    narrow = _svg(f"{title} narrow", _NARROW, height, lambda axes: draw(axes, report, True))
    return Chart(title, about, wide, narrow, legend)


def _svg(name: str, width: float, height: float, draw: Callable[[Any], None]) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 9,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "grid.color": _GRID,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "path.simplify": False,
    }
    out = io.StringIO()
    # A name may have characters that its font lacks; the browser's has them.
    with warnings.catch_warnings(), matplotlib.rc_context(settings):
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(width, height), constrained_layout=True)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        figure.savefig(out, format="svg", transparent=True)
    return _embedded(out.getvalue(), re.sub(r"\W+", "-", name.lower()))


def _embedded(svg: str, name: str) -> str:
    """An SVG as a part of a page: no prologue, names of its own, the page's colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.S)
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\1{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    # The page gives it its width.
    svg = re.sub(r'(<svg [^>]*?) width="[^"]+"', r"\1", svg, count=1)
    return re.sub(r'(<svg [^>]*?) height="[^"]+"', r"\1", svg, count=1)


def _throughput(axes: Any, report: Report, narrow: bool) -> None:
    unit, name = _unit(max(*report.sent.values, *report.received.values) / report.step)
    times = _times(report)
    # Where both are the same, the wider line is seen on both sides of the other.
    for series, colour, width in ((report.received, _RECEIVED, 2.6), (report.sent, _SENT, 1.3)):
        rates = [value / report.step / unit for value in series.values]
        axes.fill_between(times, rates, step="mid", color=colour, alpha=0.16, linewidth=0)
        axes.step(times, rates, where="mid", color=colour, linewidth=width)
    for loss in report.losses[:200]:
        axes.axvline(loss.time - report.first, color=_LOSS, linestyle=":", linewidth=1.2)
    _frame(axes, report, f"{name}/s", narrow)


def _stack(axes: Any, report: Report, series: Sequence[Series], narrow: bool) -> None:
    most = max(map(sum, zip(*(each.values for each in series))), default=0.0)
    unit, name = _unit(most / report.step)
    rates = [[value / report.step / unit for value in each.values] for each in series]
    colours = [_SERIES[_colour(each, at)] for at, each in enumerate(series)]
    if rates:
        axes.stackplot(_times(report), *rates, colors=colours, step="mid", linewidth=0)
    _frame(axes, report, f"{name}/s", narrow)


def _sizes(axes: Any, report: Report, narrow: bool) -> None:
    used = [at for at in range(len(report.sizes_sent)) if _size_at(report, at)]
    low, high = min(used, default=0), max(used, default=0)
    places = list(range(low, high + 1))
    for values, colour, shift in (
        (report.sizes_sent, _SENT, -0.21),
        (report.sizes_received, _RECEIVED, 0.21),
    ):
        axes.bar([at + shift for at in places], [values[at] for at in places], 0.4, color=colour)
    every = max(1, math.ceil(len(places) / (6 if narrow else 14)))
    # Bar `at` counts sizes from half of 2^at to just below it.
    axes.set_xticks(places[::every])
    axes.set_xticklabels([_below(at) for at in places[::every]])
    axes.grid(False, axis="x")
    _axis(axes)
    axes.set_xlabel("less than … bytes")
    axes.yaxis.set_major_formatter(lambda value, _: _count(value))


def _size_at(report: Report, at: int) -> int:
    return report.sizes_sent[at] + report.sizes_received[at]


def _below(power: int) -> str:
    size = 1 << power
    for unit in ("", "K", "M", "G"):
        if size < _KB:
            return f"{size}{unit}"
        size //= _KB
    return f"{size}T"


def _peers(axes: Any, report: Report, narrow: bool) -> None:
    top = report.peers[:_PEERS]
    places = list(range(len(top)))
    sent = [total.sent_bytes for _, total in top]
    received = [total.recv_bytes for _, total in top]
    axes.barh(places, sent, 0.3, color=_SENT)
    axes.barh(places, received, 0.3, left=sent, color=_RECEIVED)
    for at, (name, total) in enumerate(top):
        whole = short_size(total.sent_bytes + total.recv_bytes)
        text = f"{_shortened(name, 30 if narrow else 90)} · {whole}"
        # A dollar would begin a formula.
        axes.text(0, at - 0.24, text.replace("$", r"\$"), va="bottom", fontsize=9)
    axes.set_ylim(len(top) - 0.6, -0.9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)


def _shortened(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    return f"{text[: width // 2]}…{text[-(width // 2 - 1) :]}"


def _frame(axes: Any, report: Report, label: str, narrow: bool) -> None:
    span = max(report.step, len(report.sent.values) * report.step)
    axes.set_xlim(0, span)
    axes.grid(False, axis="x")
    _axis(axes)
    axes.set_title(label, loc="left", fontsize=9)
    ticks = _ticks(report.first, span, 4 if narrow else 9)
    axes.set_xticks([at for at, _ in ticks])
    axes.set_xticklabels([text for _, text in ticks])
    axes.tick_params(axis="x", pad=6)


def _axis(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _ticks(first: float, span: float, most: int) -> list[tuple[float, str]]:
    """Places on an axis of `span` seconds, and what stands there: seconds, or the local time."""
    if span < _CLOCK:
        exponent = math.floor(math.log10(span / most))
        steps = (digit * 10.0**exponent for digit in (1, 2, 5, 10))
        step = next(each for each in steps if span / each <= most)
        return [(at * step, f"{at * step:g} s") for at in range(int(span / step + 1e-9) + 1)]
    steps_ = [each for each in _ROUND if span / each <= most]
    every = steps_[0] if steps_ else math.ceil(span / most / 86_400) * 86_400
    # Round in the local time zone, whose offset may be half an hour.
    offset = time.localtime(first).tm_gmtoff or 0
    begin = -((first + offset) % -every)
    form = "%H:%M" if every < 86_400 and span < 2 * 86_400 else "%d %b %H:%M"
    places = [begin + at * every for at in range(int((span - begin) / every) + 1)]
    return [(at, time.strftime(form, time.localtime(first + at))) for at in places]


def _times(report: Report) -> list[float]:
    """The middle of each step, in seconds from the beginning."""
    return [(at + 0.5) * report.step for at in range(len(report.sent.values))]


def _unit(most: float) -> tuple[int, str]:
    for power, name in ((3, "GB"), (2, "MB"), (1, "KB")):
        if most >= _KB**power:
            return _KB**power, name
    return 1, "bytes"


def _count(value: float) -> str:
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"
