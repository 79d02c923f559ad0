"""Who attached and detached what, was refused or met a limit: one record each, within a rate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from netiod.limits import Bucket
from netiod.logs import AUDIT
from netiod.policy import Caller

_LOG = logging.getLogger(AUDIT)
#: Records of one uid at once, and a second from then on. Refusals cost whoever asks nothing.
REFUSED_BURST, REFUSED_RATE = 20, 1.0
#: The same of what went well: a watch may name many processes.
DONE_BURST, DONE_RATE = 2048, 20.0
_REFUSALS = frozenset(("refused", "limit"))


class Audit:
    """Writes the records; those of a uid beyond its rate are counted, and the count is told."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[int, bool], Bucket] = {}
        self._left_out: dict[tuple[int, bool], int] = {}

    def attach(self, caller: Caller, pid: int, comm: str, how: str) -> None:
        """`caller` holds a process from now on; `how`: watch or add."""
        self._write("attach", caller.uid, client_pid=caller.pid, pid=pid, comm=comm, how=how)

    def detach(self, caller: Caller, pid: int, comm: str, why: str) -> None:
        """`caller` holds it no longer; `why`: left, removed, exited or revoked."""
        self._write("detach", caller.uid, client_pid=caller.pid, pid=pid, comm=comm, why=why)

    def refused(self, caller: Caller, pid: int, verb: str) -> None:
        """`caller` may not hold `pid`, or there is none."""
        self._write("refused", caller.uid, client_pid=caller.pid, pid=pid, verb=verb)

    def limit(self, caller: Caller, name: str, most: int) -> None:
        """`caller` met the limit `name`, which is `most`."""
        self._write("limit", caller.uid, client_pid=caller.pid, limit=name, most=most)

    def tick(self) -> None:
        """Once a second: tell of what was left out, forget who is quiet."""
        now = self._clock()
        for key, bucket in list(self._buckets.items()):
            count = self._left_out.get(key, 0)
            if count and bucket.take(now):
                del self._left_out[key]
                self._tell_left_out(key[0], count)
            elif not count and bucket.full(now):
                del self._buckets[key]

    def close(self) -> None:
        """Tell what is left to tell."""
        for (uid, _), count in self._left_out.items():
            self._tell_left_out(uid, count)
        self._left_out.clear()

    def _write(self, action: str, uid: int, **fields: object) -> None:
        refusal = action in _REFUSALS
        key = (uid, refusal)
        bucket = self._buckets.get(key)
        now = self._clock()
        if bucket is None:
            rate, burst = (REFUSED_RATE, REFUSED_BURST) if refusal else (DONE_RATE, DONE_BURST)
            bucket = self._buckets[key] = Bucket(rate, burst, now)
        if self._left_out.get(key) or not bucket.take(now):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        _record(action, {"uid": uid, **fields})

    def _tell_left_out(self, uid: int, count: int) -> None:
        _record("left-out", {"uid": uid, "records": count})


def _record(action: str, fields: dict[str, object]) -> None:
    words = " ".join(f"{name}={_word(value)}" for name, value in fields.items())
    extra = {"fields": {"action": action, **fields}}
    _LOG.info("%s %s", action, words, extra=extra)


def _word(value: object) -> str:
    # In quotes, as it is read by people who may have been sent it by others.
    return repr(value) if isinstance(value, str) and not value.isalpha() else str(value)
