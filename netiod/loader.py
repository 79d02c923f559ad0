"""The loader: compiles, loads and attaches, hands every descriptor over, and is gone.

Runs in a child of the supervisor, as root with what loading takes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netioctl.wire.errors import NetioError, PrerequisiteError
from netiod import (
    attach,
    backends,
    compile_cache,
    compiler,
    confine,
    hooks,
    kfuncs,
    mounts,
    source,
)
from netiod.assemble import Assembled, Log, Unavailable, assemble
from netiod.btf import Btf
from netiod.cells import number_of_cells
from netiod.compile_cache import CompileCache
from netiod.compiled import Compiled
from netiod.features import Features, check_ring_buffer
from netiod.maps import Stack
from netiod.programs import Programs
from netiod.source import Source

if TYPE_CHECKING:
    from netiod.settings import Settings
    from netiod.words import Words

_MAPS = (
    "filter",
    "cells",
    "elsewhere",
    "claims",
    "selectors",
    "cgroup_paths",
    "cgroup_ids",
    "passed_over",
    "exited",
    "holds",
    "conns",
    "rows",
    "free_rows",
    "names",
    "config",
    "stats",
    "events",
    "meta",
)
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}
_CAP_SYS_ADMIN, _CAP_BPF = 21, 39


def run(settings: Settings, channel: socket.socket, words: Words) -> NoReturn:
    """Load the best back-end that `settings` allow and send it over `channel`; does not return.
    What libraries print goes to `words`.

    Leaves by os._exit in every case: nothing of the parent's is to be cleaned up twice.
    """
    from netiod.handover import send_error, send_loaded, send_log

    status = 1
    try:
        info, fds = load(settings, lambda text: send_log(channel, text), words)
        send_loaded(channel, info, fds)
        status = 0
    except NetioError as error:
        send_error(channel, error)
    except BaseException as error:  # noqa: BLE001 - the supervisor must hear of any
        send_error(channel, f"loading the BPF programs failed: {error!r}")
    finally:
        os._exit(status)


def load(settings: Settings, log: Log, words: Words) -> tuple[dict[str, Any], dict[str, int]]:
    """Compile, load and attach; (what `status` shows, descriptors by name).

    Names of descriptors: `map:NAME`, `prog:FUNCTION`, `link:FUNCTION`.

    Raises:
        PrerequisiteError: the kernel lacks what every back-end needs.
        NetioError: no back-end could be attached; says why for each.
    """
    if platform.machine() not in _ARCH:
        raise PrerequisiteError(
            f"netio does not know this machine's architecture: {platform.machine()}"
        )
    # Kernels before 5.11 charge maps to this limit; without CAP_SYS_RESOURCE it stays as it is.
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    mounts.unshare()
    with contextlib.suppress(FileNotFoundError):
        mounts.cgroup_root()
    confine.loader_has_mounted()
    attach.sweep_kprobes()
    check_ring_buffer()
    kernel = Features(Btf.of_kernel())
    make = _Maker(kernel, settings, log)
    wanted = [b for b in backends.BACKENDS if settings.backend in ("auto", b.name)]
    rejected: list[dict[str, str]] = []
    partial: list[tuple[int, hooks.Backend, str]] = []

    without = () if settings.splice else (backends.SPLICE,)

    def assembled(backend: hooks.Backend) -> Assembled:
        return assemble(backend, kernel, make, log, words, without)

    for backend in wanted:
        try:
            found = assembled(backend)
        except Unavailable as why:
            log(f"back-end {backend.name} not used: {why}")
            rejected.append({"backend": backend.name, "why": str(why)})
            continue
        if len(wanted) == 1 or not (found.uncounted or partial):
            return _describe(found, rejected, settings)
        # Another one may see more; this one stays in reserve.
        unseen = "; ".join(found.unseen) or "it is blind to more"
        log(f"back-end {backend.name} not used at first: {unseen}")
        partial.append((found.uncounted + len(backend.blind), backend, unseen))
        found.close()
    if not partial:
        reasons = "; ".join(f"{r['backend']}: {r['why']}" for r in rejected)
        raise NetioError(f"no back-end could be attached: {reasons}")
    best = min(partial, key=lambda each: each[0])[1]
    rejected += [{"backend": b.name, "why": why} for _, b, why in partial if b is not best]
    return _describe(assembled(best), rejected, settings)


class _Maker:
    """Makes programs of C files: of what was compiled before, or else by the compiler."""

    def __init__(self, kernel: Features, settings: Settings, log: Log) -> None:
        self._kernel, self._settings, self._log = kernel, settings, log
        self._source = Source(kernel, settings)
        self._cache = CompileCache(Path(settings.cache_dir))

    def __call__(self, files: tuple[str, ...]) -> Programs:
        compiled = self._compiled(self._source.text(files), self._source.cflags(files))
        types = self._kernel.types
        linked = {name: kfuncs.link(code, types) for name, code in compiled.programs.items()}
        made = Programs(replace(compiled, programs=linked))
        if not self._kernel.atomic_fetch:
            # Nobody can count them off: all rows are ready from the start.
            free = Stack(made.map("free_rows"))
            for number in range(self._settings.max_connections):
                free.push(number)
        return made

    def _compiled(self, text: str, cflags: list[str]) -> Compiled:
        name = compile_cache.key(text, cflags, compiler.version())
        try:
            found = self._cache.get(name)
        except OSError as error:
            self._log(f"nothing compiled is taken from {self._said(error)}")
            found = None
        if found is not None:
            return found
        started = time.monotonic()
        made = compiler.compile_text(text, cflags)
        self._log(f"compiled in {time.monotonic() - started:.2f} s")
        try:
            self._cache.put(name, made)
        except OSError as error:
            self._log(f"what was compiled is not kept: {self._said(error)}")
        return made

    def _said(self, error: OSError) -> str:
        return f"{error.filename or self._settings.cache_dir}: {error.strerror}"


def _describe(
    found: Assembled, rejected: list[dict[str, str]], settings: Settings
) -> tuple[dict[str, Any], dict[str, int]]:
    """What load() returns."""
    fds = {f"map:{name}": found.programs.map(name) for name in _MAPS}
    for hook, link in found.links.items():
        fds[f"prog:{hook.name}"] = found.programs.program(hook.program)
        fds[f"link:{hook.name}"] = link
    profile = attach.kprobe_profile() if found.has_kretprobes else None
    if profile is not None:
        fds["file:kprobe_profile"] = profile
    info = {
        "backend": {
            "name": found.backend.name,
            "blind": list(dict.fromkeys([*found.backend.blind, *found.blind, *found.unseen])),
            "hooks": [hook.name for hook in found.links],
            "on_demand": [hook.name for hook in found.links if hook.on_demand],
            "missing": found.missing,
            "rejected": rejected,
        },
        "counting": [hook.name for hook in found.links if found.counts(hook)],
        "on_demand": [attach.describe(hook) for hook in found.links if hook.on_demand],
        "tells_errors": found.backend.tells_errors,
        "ring_size": settings.ring_size,
        "meta_size": source.META_RING,
        "cells": number_of_cells(settings.max_pids),
        "broker_capabilities": _broker_capabilities(fds["map:config"]),
    }
    return info, fds


def _broker_capabilities(fd: int) -> list[int]:
    """Capabilities without which map calls on an inherited descriptor fail: none since 5.19."""
    from netiod.maps import Map, MapError

    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresuid(65534, 65534, 65534)
            Map(fd, 4, 8).get(bytes(4))
            status = 0
        except MapError:
            status = 2
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return []
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return [_CAP_BPF if last >= _CAP_BPF else _CAP_SYS_ADMIN]
