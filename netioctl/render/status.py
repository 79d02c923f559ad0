"""The daemon's status as text. Fields that this client does not find are left out."""

from __future__ import annotations

import textwrap
from typing import Any

from netioctl.render.words import printable, short_size, span

_LABEL = 13
_WIDTH = 80


def status(value: dict[str, Any], width: int | None) -> str:
    """The answer to status, in sections; `width` is the terminal's."""
    columns = _WIDTH if width is None else max(2 * _LABEL, min(width, _WIDTH))
    page = _Page(columns)
    up = value.get("uptime")
    page.entry(
        "netiod",
        f"{_word(value.get('version'))}, protocol {_word(value.get('protocol'))}, "
        f"PID {_word(value.get('pid'))}"
        + (f", up {span(up)}" if isinstance(up, (int, float)) else ""),
    )
    page.entry("Kernel", f"{_word(value.get('kernel'))} {_word(value.get('arch'))}")
    _backend(page, _dict(value.get("backend")))
    for exception in _list(value.get("privileges")):
        page.entry("Privileges", _word(exception))
    _traffic(page, value)
    _processes(page, _list(value.get("processes")))
    _programs(page, value)
    if not value.get("operator"):
        page.blank()
        page.entry("Note", "events, losses and processes are shown to root and the daemon's group")
    return page.text()


class _Page:
    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._lines: list[str] = []
        self._last = ""

    def entry(self, label: str, text: str) -> None:
        """`text` beside its label, wrapped; the label stands once where it repeats."""
        shown = "" if label == self._last else label
        self._last = label
        wrapped = textwrap.wrap(
            text,
            self._columns,
            initial_indent=f"{shown:<{_LABEL}}",
            subsequent_indent=" " * (_LABEL + 2),
        )
        self._lines += wrapped or [shown]

    def line(self, text: str) -> None:
        self._lines.append(text[: self._columns])
        self._last = ""

    def blank(self) -> None:
        self.line("")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _backend(page: _Page, backend: dict[str, Any]) -> None:
    hooks = ", ".join(_word(hook) for hook in _list(backend.get("hooks")))
    page.entry("Back-end", _word(backend.get("name")) + (f": {hooks}" if hooks else ""))
    blind = [_word(text) for text in _list(backend.get("blind"))]
    for text in blind or ["nothing known"]:
        page.entry("Cannot see", text)
    for item in map(_dict, _list(backend.get("rejected"))):
        page.entry("Not used", f"{_word(item.get('backend'))}: {_word(item.get('why'))}")
    for item in map(_dict, _list(backend.get("missing"))):
        page.entry("Hook missing", f"{_word(item.get('hook'))}: {_word(item.get('why'))}")


def _traffic(page: _Page, value: dict[str, Any]) -> None:
    page.entry("Processes", f"{_count(value.get('held'))} held{_most(value.get('max_pids'))}")
    page.entry("Viewers", _count(value.get("viewers")))
    if value.get("netlink") is True:
        page.entry("Netlink", "counted (netiod --netlink)")
    if "connections" in value:
        most = _most(value.get("max_connections"))
        page.entry("Connections", f"{_count(value.get('connections'))}{most}")
    if "events" in value:
        ring = value.get("ring_size")
        beside = f"; ring {short_size(ring)}" if isinstance(ring, int) else ""
        page.entry("Events", f"{_count(value.get('events'))} published{beside}")
    lost = _dict(value.get("lost"))
    if lost:
        page.entry("Lost", ", ".join(f"{_word(k)} {_count(v)}" for k, v in lost.items()))


def _processes(page: _Page, processes: list[Any]) -> None:
    if not processes:
        return
    page.blank()
    page.line(f"{'ROLE':<24} {'PID':>7} {'RSS':>9} {'PSS':>9} {'CPU':>9}")
    for item in map(_dict, processes):
        cpu = item.get("cpu")
        page.line(
            f"{_word(item.get('role'))[:24]:<24} {_word(item.get('pid')):>7} "
            f"{_size(item.get('rss')):>9} {_size(item.get('pss')):>9} "
            + (f"{cpu:>7.2f} s" if isinstance(cpu, (int, float)) else f"{'-':>9}")
        )


def _programs(page: _Page, value: dict[str, Any]) -> None:
    programs = [_dict(item) for item in _list(value.get("bpf"))]
    if not programs:
        return
    page.blank()
    if all(item.get("run_cnt") is None for item in programs):
        page.entry("BPF run time", "not counted by the kernel (sysctl kernel.bpf_stats_enabled=1)")
        return
    page.line(f"{'BPF PROGRAM':<24} {'RUNS':>15} {'TIME':>11} {'PER RUN':>9}")
    for item in programs:
        count, spent = item.get("run_cnt"), item.get("run_time_ns")
        name = f"{_word(item.get('name'))[:24]:<24}"
        if isinstance(count, int) and isinstance(spent, int):
            each = f"{spent / count:.0f} ns" if count else "-"
            page.line(f"{name} {count:>15,} {spent / 1e9:>9.3f} s {each:>9}")
        else:
            page.line(f"{name} {'-':>15} {'-':>11} {'-':>9}")


def _word(value: Any) -> str:
    return "-" if value is None else printable(str(value))


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"


def _most(value: Any) -> str:
    return f" of at most {value:,}" if isinstance(value, int) else ""


def _size(value: Any) -> str:
    return short_size(value if isinstance(value, int) else None)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
