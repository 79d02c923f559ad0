"""Manual pages in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = {"\\": "\\e", "-": "\\-", "~": "\\(ti", "^": "\\(ha", "`": "\\(ga", "'": "\\(aq"}


def escape(text: str) -> str:
    """`text` so that roff prints it as it is, and what is copied from the page works."""
    return "".join(_SPECIAL.get(char, char) for char in text)


def _line(text: str) -> str:
    """A line of its own, which is no request whatever it begins with."""
    return ("\\&" if text.startswith(".") else "") + text


class Page:
    """A page that grows; text is plain, and `names` in backticks become bold."""

    def __init__(self, name: str, section: int, date: str, source: str) -> None:
        self._lines = [
            f'.TH {escape(name.upper())} {section} "{date}" "{source}"',
            # No hyphens at the end of lines: words here are options, paths and names.
            ".nh",
            ".ad l",
        ]

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {escape(title.upper())}")

    def raw(self, line: str) -> None:
        """A line of roff."""
        self._lines.append(line)

    def paragraph(self, text: str) -> None:
        """Text that is filled."""
        self._apart()
        self._lines.append(_line(_bold(" ".join(text.split()))))

    def verbatim(self, lines: Iterable[str]) -> None:
        """Lines that stay as they are."""
        self._apart()
        self._lines += [".nf", ".RS 2"]
        self._lines += [_line(escape(line)) if line else "\\&" for line in lines]
        self._lines += [".RE", ".fi"]

    def item(self, term: str, text: str) -> None:
        """An option, say, and what it does."""
        self._lines += [".TP", f"\\fB{escape(term)}\\fR", _line(_bold(" ".join(text.split())))]

    def _apart(self) -> None:
        if not self._lines[-1].startswith((".SH", ".SS")):
            self._lines.append(".PP")

    def text(self) -> str:
        """The whole page."""
        return "\n".join(self._lines) + "\n"


def _bold(text: str) -> str:
    parts = re.split(r"`([^`]+)`", text)
    return "".join(
        f"\\fB{escape(part)}\\fR" if at % 2 else escape(part) for at, part in enumerate(parts)
    )
