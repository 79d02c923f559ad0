"""What is loaded outlives a supervisor that is killed: in systemd's file descriptor store.

Descriptors go there one a message (sd_notify(3), FDSTORE=1) and come back to the next process of
the service (sd_listen_fds(3)), whether it was killed, restarted or upgraded. The facts that belong
to them are among them, as a file in memory. Where no systemd runs us, programs and counters go
with the supervisor, and the next one says so.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

from netiod import descriptors
from netiod.handover import Loaded
from netiod.settings import Settings
from netiod.systemd import Notifier

_LOG = logging.getLogger("netiod.fdstore")
#: <systemd/sd-daemon.h>
_FIRST = 3
_INFO = "info"
#: FileDescriptorName= in netiod.socket.
_CONTROL = "control"


class FdStore:
    """The store of this service; without systemd it keeps nothing."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._kept: set[str] = set()

    def keep(self, loaded: Loaded, settings: Settings) -> None:
        """Store what is loaded, to be found by restore() with the same settings."""
        if not self._notifier.there or _INFO in self._kept:
            return
        facts = json.dumps({"info": loaded.info, "made_for": _made_for(settings)})
        info = os.memfd_create("netiod-info", os.MFD_CLOEXEC)
        try:
            os.write(info, facts.encode())
            self.add(_INFO, info)
        finally:
            os.close(info)
        for name, fd in loaded.fds.items():
            self.add(name, fd)

    def add(self, name: str, fd: int) -> None:
        """Store a copy of `fd`."""
        self._kept.add(name)
        self._notifier.store(_encode(name), fd)

    def remove(self, name: str) -> None:
        """Drop the copy of that name."""
        if name in self._kept:
            self._kept.discard(name)
            self._notifier.unstore(_encode(name))

    def restore(self, found: dict[str, int], settings: Settings) -> Loaded | None:
        """What an earlier process of this service has kept, from inherited(); its owner is the
        caller. None: there is nothing, or it was made for other settings or another layout of
        the maps; then it is given up, and its programs are detached."""
        if not found:
            return None
        self._kept.update(found)
        try:
            facts = _read(found.pop(_INFO))
            if facts["made_for"] == _made_for(settings):
                return Loaded(facts["info"], found)
            why = "it was made for other settings or by another version of netiod"
        except (KeyError, ValueError, TypeError, OSError) as error:
            why = f"it is not understood: {error!r}"
        _LOG.warning("what systemd kept of the netiod before is given up, totals included: %s", why)
        for name in list(self._kept):
            self.remove(name)
        descriptors.close(found.values())
        return None


class Inherited(NamedTuple):
    """What systemd passes to a service: what was stored, by name, and the control socket if
    netiod.socket listens."""

    stored: dict[str, int]
    control: int | None


def inherited(environ: MutableMapping[str, str]) -> Inherited:
    """The descriptors that this process was started with; close-on-exec from now on.

    Takes the variables out of `environ`, so that no child thinks that they are its own.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return Inherited({}, None)
    found: dict[str, int] = {}
    control = None
    for fd, encoded in zip(range(_FIRST, _FIRST + int(count)), names):
        os.set_inheritable(fd, False)
        if encoded == _CONTROL and control is None:
            control = fd
            continue
        name = _decode(encoded)
        if name is None or name in found:
            descriptors.close([fd])
        else:
            found[name] = fd
    return Inherited(found, control)


def _made_for(settings: Settings) -> dict[str, Any]:
    """What the programs and maps depend on."""
    from netioctl.wire import layout

    names = ("backend", "ring_size", "max_connections", "max_pids", "splice")
    return {name: getattr(settings, name) for name in names} | {
        "layout": layout.load().fingerprint,
        "kernel": os.uname().release,
    }


def _read(fd: int) -> Mapping[str, Any]:
    try:
        size = os.fstat(fd).st_size
        facts: Mapping[str, Any] = json.loads(os.pread(fd, size, 0))
    finally:
        os.close(fd)
    return facts


def _encode(name: str) -> str:
    """A name of letters and digits: systemd allows no colon, and 255 bytes."""
    return "netio-" + name.encode().hex()


def _decode(encoded: str) -> str | None:
    prefix, _, digits = encoded.partition("-")
    try:
        return bytes.fromhex(digits).decode() if prefix == "netio" else None
    except ValueError:
        return None
