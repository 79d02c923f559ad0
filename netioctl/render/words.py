"""Small pieces of text: names made safe, sizes, times, the two ends of a connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netioctl.wire.endpoints import Connection

#: Output has another one for terminals that lack it.
ELLIPSIS = "…"
#: How ss begins the name of a socket of these families; its type follows.
_LETTERS = {"unix": "u", "packet": "p", "vsock": "v"}
_UNITS = ("KB", "MB", "GB", "TB", "PB", "EB")


def printable(text: str) -> str:
    """`text` with all that could steer a terminal (or is no character) as `\\xNN`.

    Names of processes and paths are anyone's to choose, escape sequences included.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def size(count: int) -> str:
    """`512 bytes`, or with its unit `15,360 bytes (15.00 KB)`; KB is 1,024 bytes."""
    if count < 1024:
        return f"{count:,} bytes"
    value, unit = _scaled(count)
    return f"{count:,} bytes ({value:.2f} {unit})"


def operations(count: int) -> str:
    """`1 operation`, `1,204 operations`."""
    return _counted(count, "operation")


def events(count: int) -> str:
    """`1 event`, `1,204 events`."""
    return _counted(count, "event")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def short_size(count: int | None) -> str:
    """`512 B`, `15.0 KB`: at most nine characters; `-` for None."""
    if count is None:
        return "-"
    if count < 1024:
        return f"{count} B"
    value, unit = _scaled(count)
    return f"{value:.1f} {unit}"


def _scaled(count: int) -> tuple[float, str]:
    value, unit = count / 1024, _UNITS[0]
    for unit in _UNITS:
        # 1023.996 would be written as 1024.00.
        if value < 1023.995 or unit == _UNITS[-1]:
            break
        value /= 1024
    return value, unit


def since(seconds: float, now: float) -> str:
    """At most eight characters: the time of day, or the date of what is older than a day."""
    form = "%H:%M:%S" if 0 <= now - seconds < 86_400 else "%b %d"
    return time.strftime(form, time.localtime(seconds))


def span(seconds: float) -> str:
    """`42 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    for unit, length, below, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {below}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def lapse(seconds: float) -> str:
    """`3 ms`, `0.8 s`, `5 min 3 s`."""
    if seconds < 0.1:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else span(seconds)


def cut(text: str, width: int) -> str:
    """At most `width` characters of `text`; an ellipsis says that there was more."""
    return text if len(text) <= width else text[: max(0, width - 1)] + ELLIPSIS[:width]


def connection(local: str | None, remote: str | None, width: int | None = None) -> str:
    """`LOCAL -> REMOTE`, `*` where one is unknown; shortened to `width` columns where given.

    What goes first is the host of the own side, which is the same on most lines; ports stay
    longest, because they tell connections apart.
    """
    near, far = printable(local or "*"), printable(remote or "*")
    text = f"{near} -> {far}"
    if width is None or len(text) <= width:
        return text
    port = near.rfind(":")
    if port >= 0 and "/" not in near[port:]:
        near = ELLIPSIS + near[port:]
    room = max(0, width - len(" -> "))
    if len(near) + len(far) > room:
        near = _middle(near, max(room - len(far), min(len(near), room // 2)))
        far = _middle(far, room - len(near))
    return cut(f"{near} -> {far}", width)


def _middle(text: str, width: int) -> str:
    """`text` without its middle: both ends of an address say more than one whole."""
    if len(text) <= width:
        return text
    keep = max(0, width - 1)
    return text[: keep // 2] + ELLIPSIS[:width] + text[len(text) - (keep - keep // 2) :]


def netid(connection: Connection) -> str:
    """The kind of a connection's socket as ss names it, `-` where unknown: tcp, u_str, nl ..."""
    family, proto = connection.family, connection.proto or ""
    if family in ("inet", "inet6"):
        return "icmp6" if proto == "icmpv6" else proto
    if family in _LETTERS:
        return f"{_LETTERS[family]}_{proto[:3]}"
    return "nl" if family == "netlink" else family or "-"
