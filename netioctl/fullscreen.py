"""A terminal as a whole screen, by curses: keys by name, lines of styled spans."""

from __future__ import annotations

import contextlib
import curses
import os
import select
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netioctl.wire.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

#: Milliseconds after Esc in which the rest of a key's sequence comes, over a slow line too.
_ESCAPE_MS = 100
_NAMES = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_PPAGE: "page-up",
    curses.KEY_NPAGE: "page-down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
}
_CHARACTERS = {
    "\n": "enter",
    "\r": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x15": "clear",
    "\x0c": "redraw",
}
#: (attributes, colour): without colours the attributes alone have to do.
_STYLES: Mapping[str, tuple[int, int]] = {
    "plain": (curses.A_NORMAL, -1),
    "title": (curses.A_BOLD, -1),
    "head": (curses.A_REVERSE, -1),
    "sorted": (curses.A_REVERSE | curses.A_BOLD, -1),
    "chosen": (curses.A_REVERSE, curses.COLOR_CYAN),
    "dim": (curses.A_DIM, -1),
    "warn": (curses.A_BOLD, curses.COLOR_YELLOW),
    "sent": (curses.A_NORMAL, curses.COLOR_GREEN),
    "received": (curses.A_NORMAL, curses.COLOR_CYAN),
    "spark": (curses.A_NORMAL, curses.COLOR_GREEN),
}


class Fullscreen:
    """Takes over the terminal on stdin and stdout, and gives it back.

    `instead`: what does without a screen. SIGWINCH becomes the key `resize`, and what
    signal.set_wakeup_fd() was given is written to.

    Raises:
        UsageError: this terminal cannot place a cursor.
    """

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __enter__(self) -> Fullscreen:
        _check_terminal(self._instead)
        # Before curses, which else takes the signal for itself and tells nobody.
        self._resized, self._begun = False, False
        self._before = signal.signal(signal.SIGWINCH, self._resize)
        try:
            self._screen = curses.initscr()
            self._begun = True
            curses.noecho()
            curses.cbreak()
            self._screen.keypad(True)
            self._screen.nodelay(True)
            curses.set_escdelay(_ESCAPE_MS)
            with contextlib.suppress(curses.error):
                curses.curs_set(0)
            self._styles = _styles()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        lines, columns = self._screen.getmaxyx()
        return columns, lines

    def keys(self) -> list[str]:
        """The keys that were pressed; does not wait.

        Raises:
            EOFError: the terminal is gone.
        """
        found = []
        if self._resized:
            self._resized = False
            with contextlib.suppress(OSError, curses.error):
                columns, lines = os.get_terminal_size(1)
                curses.resizeterm(max(1, lines), max(1, columns))
            # Some terminals break lines anew, and none says what it did.
            self._screen.clearok(True)
            found.append("resize")
        while True:
            try:
                key = self._screen.get_wch()
            except curses.error:
                break
            name = _name(key)
            if name == "redraw":
                self._screen.clearok(True)
            if name:
                found.append(name)
        if not found and _hung_up():
            raise EOFError
        return found

    def draw(self, lines: Sequence[Iterable[tuple[str, str]]]) -> None:
        """Show these lines of (text, style); only what has changed is sent."""
        screen = self._screen
        screen.erase()
        height, width = screen.getmaxyx()
        for y, line in enumerate(lines[:height]):
            screen.move(y, 0)
            for text, style in line:
                # The last cell of all cannot be written without an error, but is.
                with contextlib.suppress(curses.error):
                    screen.addnstr(text, max(0, width), self._styles.get(style, 0))
        screen.refresh()

    def _resize(self, _number: int, _frame: Any) -> None:
        self._resized = True

    def _end(self) -> None:
        if self._begun:
            with contextlib.suppress(curses.error):
                self._screen.keypad(False)
                curses.endwin()
        signal.signal(signal.SIGWINCH, self._before)


def _check_terminal(instead: str) -> None:
    name = os.environ.get("TERM", "")
    try:
        curses.setupterm(fd=1)
        able = curses.tigetstr("cup") is not None
    except curses.error:
        able = False
    if not able:
        raise UsageError(
            f"a full screen cannot be drawn on this terminal (TERM={name or 'unset'}): {instead}"
        )


def _styles() -> dict[str, int]:
    colours = False
    if not os.environ.get("NO_COLOR"):
        with contextlib.suppress(curses.error):
            curses.start_color()
            curses.use_default_colors()
            colours = curses.has_colors()
    result = {}
    for number, (style, (attributes, colour)) in enumerate(_STYLES.items(), 1):
        result[style] = attributes
        if colours and colour >= 0:
            curses.init_pair(number, colour, -1)
            result[style] |= curses.color_pair(number)
    return result


def _name(key: int | str) -> str:
    if isinstance(key, int):
        return _NAMES.get(key, "")
    return _CHARACTERS.get(key, key if key.isprintable() else "")


def _hung_up() -> bool:
    poll = select.poll()
    poll.register(0, 0)
    return bool(poll.poll(0))
