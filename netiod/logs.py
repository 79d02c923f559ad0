"""How netiod logs: to stderr, one line a record whatever a process's name may hold.

Audit records go to the journal with fields instead, where systemd has connected stderr to it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time

from netiod.journal import JournalHandler, priority

#: Who attached and detached what: these records carry their time wherever stderr goes.
AUDIT = "netiod.audit"


class LineFormatter(logging.Formatter):
    """News as it is, complaints with the program's name before them as is usual on Unix.

    With `priorities`, each line begins with its syslog level as the journal wants it.
    """

    def __init__(self, priorities: bool = False) -> None:
        super().__init__()
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        """One line, control characters escaped; a traceback, if there is one, follows it."""
        text = printable(record.getMessage())
        if record.levelno >= logging.ERROR:
            text = f"netiod: {text}"
        elif record.levelno >= logging.WARNING:
            text = f"netiod: warning: {text}"
        if record.name == AUDIT:
            when = time.localtime(record.created)
            text = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z', when)} {text}"
        lines = [text]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        if self._priorities:
            lines = [f"<{priority(record.levelno)}>{line}" for line in lines]
        return "\n".join(lines)


class _MessageFormatter(logging.Formatter):
    """The text alone: time and priority are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(record.getMessage())


def printable(text: str) -> str:
    """`text` in one line: what is not printable is escaped."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def configure(verbose: bool) -> None:
    """Send records to stderr: warnings and news, with `verbose` everything."""
    # Where stderr is gone there is nobody to tell.
    logging.raiseExceptions = False
    journal = _is_journal()
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(journal))
    root = logging.getLogger("netiod")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    audit = logging.getLogger(AUDIT)
    for old in list(audit.handlers):
        audit.removeHandler(old)
        old.close()
    audit.propagate = not journal
    if journal:
        fields = JournalHandler(handler)
        fields.setFormatter(_MessageFormatter())
        audit.addHandler(fields)


def connect() -> None:
    """Open what this process will not be able to open later: the journal's socket."""
    for handler in logging.getLogger(AUDIT).handlers:
        if isinstance(handler, JournalHandler):
            with contextlib.suppress(OSError):
                handler.connect()


def _is_journal() -> bool:
    """Whether stderr goes to systemd's journal: see systemd.exec(5), $JOURNAL_STREAM."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
