"""The loader: compiles, loads and attaches, hands every descriptor over, and is gone.

The only module that imports bcc, and only inside run(): the compiler it brings is 100 MB that
no process should keep. Runs in a child of the supervisor, as root with what loading takes: the
compiler reads our own C text, with what the kernel says of its own types, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netioctl.wire import layout
from netioctl.wire.errors import NetioError, PrerequisiteError
from netiod import attach, backends, btf, confine, hooks, kfuncs, mounts
from netiod.assemble import Assembled, Unavailable, assemble
from netiod.cells import number_of_cells
from netiod.features import Features, check_ring_buffer
from netiod.maps import Stack
from netiod.selector import SELECTORS

if TYPE_CHECKING:
    from netiod.settings import Settings
    from netiod.words import Words

#: Bytes of the ring that carries new connections and exits: about 3,000 a batch.
META_RING = 1 << 20
#: Unix socket names kept; a connection beyond them is shown by its peer's PID.
MAX_NAMES = 8192
#: netiod's own processes, and viewers that use selectors.
MAX_PASSED_OVER = 8192
#: Processes, by the low bits of their PID, of which is remembered that no selector wants them.
_UNWANTED = 4096
#: C files that every back-end needs, in this order; its own come after them.
_SOURCES = ("maps.c", "processes.c", "cgroups.c", "core.c", "hooks/regs.h")
_FILTER_WORDS = (4_194_304 + 16) // 16
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
#: Four places for each connection, by hash: few find theirs taken by another.
_NEAR_BITS = 2
#: Structs that are loaded from, where the kernel can tell the verifier what a pointer leads to.
_KNOWN = ("sock_common", "pt_regs")
#: Helpers that not every kernel has, and that the C code can do without.
_HELPERS = ("bpf_task_pt_regs",)
_PAGE = resource.getpagesize()
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}
_CAP_SYS_ADMIN, _CAP_BPF = 21, 39


def run(settings: Settings, channel: socket.socket, words: Words) -> NoReturn:
    """Load the best back-end that `settings` allow and send it over `channel`; does not return.
    What libraries print goes to `words`.

    Leaves by os._exit in every case: bcc would detach the programs at a normal exit.
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


def load(settings: Settings, log: Any, words: Words) -> tuple[dict[str, Any], dict[str, int]]:
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
    top = layout.event_h().parent
    types = btf.Btf.of_kernel()
    kernel_h = btf.write_kernel_h((top / "kernel.h").read_text(), types)
    os.environ["BCC_KERNEL_SOURCE"] = str(top / "include")
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
    kernel = Features(types)
    wanted = [b for b in backends.BACKENDS if settings.backend in ("auto", b.name)]
    rejected: list[dict[str, str]] = []
    partial: list[tuple[int, hooks.Backend, str]] = []

    without = () if settings.splice else (backends.SPLICE,)

    def assembled(backend: hooks.Backend) -> Assembled:
        return assemble(
            backend, kernel, lambda c: _compile(c, kernel, kernel_h, settings), log, words, without
        )

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


def _compile(files: tuple[str, ...], kernel: Features, kernel_h: str, settings: Settings) -> Any:
    """A bcc.BPF of C files below bpf/hooks: one text, because BCC rewrites map calls only in its
    main file."""
    from bcc import BPF
    from bcc.libbcc import lib

    class Unattached(BPF):  # type: ignore[misc]
        """bcc would attach by function name, and give up where one fails."""

        def has(self, name: bytes) -> bool:
            """Is there a program of that name?"""
            return bool(lib.bpf_function_start(self.module, name))

        def _trace_autoload(self) -> None:
            pass

    top = layout.event_h().parent
    parts = [
        (top / "event.h").read_text(),
        _layout_checks(),
        kernel_h,
        *((top / name).read_text() for name in _SOURCES),
        *((top / "hooks" / name).read_text() for name in files),
    ]
    cflags = [
        f"-DNETIO_FILTER_WORDS={_FILTER_WORDS}",
        f"-DNETIO_MAX_PIDS={settings.max_pids}",
        f"-DNETIO_CELLS={number_of_cells(settings.max_pids)}",
        # Those of before the broker was replaced as well, and two cgroups of each path.
        f"-DNETIO_MAX_SELECTORS={6 * SELECTORS}",
        f"-DNETIO_MAX_PATHS={2 * SELECTORS}",
        f"-DNETIO_MAX_PASSED_OVER={MAX_PASSED_OVER}",
        f"-DNETIO_UNWANTED={_UNWANTED}",
        f"-DNETIO_MAX_CONNECTIONS={settings.max_connections}",
        f"-DNETIO_NEAR_BITS={_NEAR_BITS + max(1, (settings.max_connections - 1).bit_length())}",
        f"-DNETIO_MAX_NAMES={MAX_NAMES}",
        f"-DNETIO_RING_PAGES={settings.ring_size // _PAGE}",
        f"-DNETIO_META_PAGES={META_RING // _PAGE}",
        f"-DNETIO_CPUS={os.sysconf('SC_NPROCESSORS_CONF')}",
        *(f"-DNETIO_HAS_{helper}" for helper in _HELPERS if kernel.types.has_function(helper)),
        *(["-DNETIO_HAS_atomic_fetch"] if kernel.atomic_fetch else []),
        *kfuncs.cflags(kernel.types, _KNOWN),
        *(["-DNETIO_CHOOSES_FIRST"] if backends.chooses_first(files) else []),
        "-Wno-everything",
    ]
    compiled = Unattached(text="\n".join(parts).encode(), cflags=cflags)
    kfuncs.link(compiled.module, lib, kernel.types)
    if not kernel.atomic_fetch:
        # Nobody can count them off: all rows are ready from the start.
        free = Stack(compiled[b"free_rows"].map_fd)
        for number in range(settings.max_connections):
            free.push(number)
    return compiled


def _layout_checks() -> str:
    """Assertions that BCC's compiler lays the records out as layout.py read them."""
    lines = []
    for record in layout.load().structs.values():
        name = f"struct {record.name}"
        lines.append(f'_Static_assert(sizeof({name}) == {record.size}, "layout");')
        lines += [
            f'_Static_assert(__builtin_offsetof({name}, {f.name}) == {f.offset}, "layout");'
            for f in record.fields
        ]
    return "\n".join(lines)


def _describe(
    found: Assembled, rejected: list[dict[str, str]], settings: Settings
) -> tuple[dict[str, Any], dict[str, int]]:
    """What load() returns."""
    fds = {f"map:{name}": found.bpf[name.encode()].map_fd for name in _MAPS}
    for hook, link in found.links.items():
        fds[f"prog:{hook.name}"] = found.bpf.funcs[attach.program_name(found.bpf, hook)].fd
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
        "meta_size": META_RING,
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
