"""Colours: which words have them, and whether they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Palette(NamedTuple):
    """Escape sequences before a word, by what it says, and the one behind it; empty: plain.

    Those of both directions are equally long.
    """

    send: str = ""
    recv: str = ""
    loss: str = ""
    end: str = ""

    def direction(self, dir_: int) -> str:
        """What stands before SEND and RECV, by their number in struct event."""
        return {"send": self.send, "recv": self.recv}.get(_names().get(dir_, ""), "")

    def missing(self, line: str) -> str:
        """A line that tells of what is missing, without its end."""
        return f"{self.loss}{line[:-1]}{self.end}\n" if self.loss else line


PLAIN = Palette()


def colours() -> Palette:
    """Of the sixteen that every terminal has, two that the colour-blind tell apart."""
    import click

    def before(**style: str | bool) -> str:
        return click.style("", reset=False, **style)  # type: ignore[arg-type]

    end = click.style("", reset=True)
    return Palette(before(fg="cyan"), before(fg="magenta"), before(fg="red", bold=True), end)


def wanted(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether text is to have colours: no-color.org and force-color.org, the first wins."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return terminal and environment.get("TERM") not in (None, "", "dumb")


def _names() -> dict[int, str]:
    from netioctl.wire import layout

    return layout.load().names("DIR")
