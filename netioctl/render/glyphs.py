"""Characters that a terminal may lack, and the width of those that it has."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

from netioctl.render.words import printable

_ASCII = {"…": "~", "▁": "_", "▼": "v", "▲": "^", "├": "|", "└": "`", "│": "|", "─": "-"}


class Glyphs:
    """How text is drawn; without `utf8` in ASCII alone."""

    def __init__(self, *, utf8: bool) -> None:
        self.utf8 = utf8
        self._levels = "▁▂▃▄▅▆▇█" if utf8 else "_.:-=+*#"

    def text(self, name: str) -> str:
        """A name that anyone may have chosen: nothing in it steers a terminal."""
        safe = printable(name)
        if self.utf8:
            return safe
        return safe.encode("ascii", "backslashreplace").decode("ascii")

    def plain(self, text: str) -> str:
        """Text with our own signs as the terminal can show them."""
        if self.utf8 or text.isascii():
            return text
        return "".join(char if char < "\x7f" else _ASCII.get(char, "?") for char in text)

    def sparkline(self, rates: Iterable[float], width: int) -> str:
        """The latest `width` rates; the tallest is the greatest of them, a blank is none."""
        latest = list(rates)[-width:] if width > 0 else []
        top = max(latest, default=0.0)
        most = len(self._levels) - 1
        line = "".join(
            self._levels[min(most, int(rate / top * len(self._levels)))] if rate else " "
            for rate in latest
        )
        return line.rjust(max(0, width))

    def fit(self, text: str, width: int, *, right: bool = False) -> str:
        """`text` in exactly `width` columns, cut or padded."""
        if not text.isascii():
            return self._fit_wide(text, width, right)
        if len(text) > width:
            text = text[: max(0, width - 1)] + ("…" if self.utf8 else "~")[:width]
        return text.rjust(width) if right else text.ljust(width)

    def _fit_wide(self, text: str, width: int, right: bool) -> str:
        text = self.plain(text)
        if columns(text) > width:
            kept, room = "", width - 1
            for char in text:
                room -= columns(char)
                if room < 0:
                    break
                kept += char
            text = kept + ("…" if self.utf8 else "~")[: max(0, width)]
        pad = " " * max(0, width - columns(text))
        return pad + text if right else text + pad


def columns(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def utf8() -> bool:
    """Whether the terminal is meant to understand UTF-8.

    Python makes the locale C one of UTF-8 for itself, so this asks how it was begun.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = (item.partition(b"=") for item in file.read().split(b"\0"))
            begun = {name.decode("ascii", "replace"): value for name, _, value in pairs}
    except OSError:
        begun = {name: value.encode() for name, value in os.environ.items()}
    locale = next((begun[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if begun.get(n)), b"C")
    return b"utf8" in locale.lower().replace(b"-", b"")
