"""The loader: compiles, loads and attaches, hands every descriptor over, and is gone.

The only module that imports bcc, and only inside run(): the compiler it brings is 100 MB that
no process should keep. Runs as root in a child of the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netioctl.wire import layout
from netioctl.wire.errors import NetioError, PrerequisiteError
from netiod import attach, btf, hooks, mounts

if TYPE_CHECKING:
    from netiod.settings import Settings

#: Bytes of the ring that carries new connections and exits: about 3,000 a batch.
META_RING = 1 << 20
#: Unix socket names kept; a connection beyond them is shown by its peer's PID.
MAX_NAMES = 8192
_FILTER_WORDS = (4_194_304 + 16) // 16
_MAPS = (
    "filter",
    "procs",
    "exited",
    "holds",
    "conns",
    "names",
    "config",
    "stats",
    "events",
    "meta",
)
#: Helpers that not every kernel has, and that the C code can do without.
_HELPERS = ("bpf_task_pt_regs",)
_PAGE = resource.getpagesize()
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}
_CAP_SYS_ADMIN, _CAP_BPF = 21, 39


class Unavailable(Exception):
    """A back-end that this kernel does not offer; the text says why."""


def run(settings: Settings, channel: socket.socket) -> NoReturn:
    """Load the best back-end that `settings` allow and send it over `channel`; does not return.

    Leaves by os._exit in every case: bcc would detach the programs at a normal exit.
    """
    from netiod.handover import send_error, send_loaded, send_log

    status = 1
    try:
        info, fds = load(settings, lambda text: send_log(channel, text))
        send_loaded(channel, info, fds)
        status = 0
    except NetioError as error:
        send_error(channel, error)
    except BaseException as error:  # noqa: BLE001 - the supervisor must hear of any
        send_error(channel, f"loading the BPF programs failed: {error!r}")
    finally:
        os._exit(status)


def load(settings: Settings, log: Any) -> tuple[dict[str, Any], dict[str, int]]:
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
    attach.sweep_kprobes()
    rejected: list[dict[str, str]] = []
    partial: hooks.Backend | None = None
    for backend in hooks.BACKENDS:
        if settings.backend not in ("auto", backend.name):
            continue
        try:
            found = _load(top, backend, kernel_h, types, settings, log)
        except Unavailable as why:
            log(f"back-end {backend.name} not used: {why}")
            rejected.append({"backend": backend.name, "why": str(why)})
            continue
        if settings.backend == "auto" and found.unseen:
            # Another one may see it all; this one stays in reserve.
            unseen = "; ".join(found.unseen)
            log(f"back-end {backend.name} not used at first: {unseen}")
            rejected.append({"backend": backend.name, "why": unseen})
            partial = partial or backend
            found.bpf.cleanup()
            continue
        return found.describe(rejected, settings)
    if partial is not None:
        return _load(top, partial, kernel_h, types, settings, log).describe(rejected, settings)
    reasons = "; ".join(f"{r['backend']}: {r['why']}" for r in rejected)
    raise NetioError(f"no back-end could be attached: {reasons}")


def _source(top: Path, backend: hooks.Backend, kernel_h: str) -> str:
    """One text for BCC, which rewrites map calls only in its main file."""
    parts = [
        (top / "event.h").read_text(),
        _layout_checks(),
        kernel_h,
        *((top / name).read_text() for name in ("core.c", "hooks/regs.h")),
        *((top / "hooks" / name).read_text() for name in backend.sources),
    ]
    return "\n".join(parts)


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


@dataclass
class _Loaded:
    """A back-end that is attached: descriptors by hook, what is missing and what that hides."""

    backend: hooks.Backend
    bpf: Any
    links: dict[hooks.Hook, int] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def describe(
        self, rejected: list[dict[str, str]], settings: Settings
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """What load() returns."""
        fds = {f"map:{name}": self.bpf[name.encode()].map_fd for name in _MAPS}
        for hook, link in self.links.items():
            fds[f"prog:{hook.name}"] = self.bpf.funcs[hook.program.encode()].fd
            fds[f"link:{hook.name}"] = link
        info = {
            "backend": {
                "name": self.backend.name,
                "blind": [*self.backend.blind, *self.unseen],
                "hooks": [hook.name for hook in self.links],
                "missing": self.missing,
                "rejected": rejected,
            },
            "ring_size": settings.ring_size,
            "meta_size": META_RING,
            "broker_capabilities": _broker_capabilities(fds["map:config"]),
        }
        return info, fds


def _load(
    top: Path,
    backend: hooks.Backend,
    kernel_h: str,
    types: btf.Btf,
    settings: Settings,
    log: Any,
) -> _Loaded:
    """Compile a back-end and attach its hooks.

    Raises:
        Unavailable: it cannot be had on this kernel.
    """
    from bcc import BPF

    class Unattached(BPF):  # type: ignore[misc]
        """bcc would attach by function name, and give up where one fails."""

        def _trace_autoload(self) -> None:
            pass

    cflags = [
        f"-DNETIO_FILTER_WORDS={_FILTER_WORDS}",
        f"-DNETIO_MAX_PIDS={settings.max_pids}",
        f"-DNETIO_MAX_CONNECTIONS={settings.max_connections}",
        f"-DNETIO_MAX_NAMES={MAX_NAMES}",
        f"-DNETIO_RING_PAGES={settings.ring_size // _PAGE}",
        f"-DNETIO_META_PAGES={META_RING // _PAGE}",
        *(f"-DNETIO_HAS_{helper}" for helper in _HELPERS if types.has_function(helper)),
        "-Wno-everything",
    ]
    source = _source(top, backend, kernel_h)
    with _stderr_kept() as text:
        try:
            loaded = _Loaded(backend, Unattached(text=source.encode(), cflags=cflags))
        except Exception as error:
            why = _first_error(text()) or _short(error)
            raise Unavailable(f"does not compile: {why}") from error
        for hook in (*backend.hooks, *hooks.COMMON):
            why = ""
            if hook.kind != hooks.RAW and not types.has_function(hook.point):
                why = "this kernel has no such function"
            else:
                try:
                    loaded.links[hook] = attach.attach(loaded.bpf, hook)
                    log(f"hook {hook.name} attached")
                except Exception as error:
                    why = _last_error(text()) or _short(error)
                    if hook.required:
                        raise Unavailable(f"{hook.name}: {why}") from error
            if why:
                log(f"hook {hook.name} not attached: {why}" + (f"; {hook.cost}" * bool(hook.cost)))
                if hook.cost:
                    loaded.missing.append({"hook": hook.name, "why": f"{why}; {hook.cost}"})
                    if hook in backend.hooks and hook.cost not in loaded.unseen:
                        loaded.unseen.append(hook.cost)
    if not any(hook in loaded.links for hook in backend.hooks):
        loaded.bpf.cleanup()
        raise Unavailable(loaded.missing[0]["why"].split(";")[0])
    log(f"back-end {backend.name}: {', '.join(hook.name for hook in loaded.links)}")
    return loaded


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


@contextlib.contextmanager
def _stderr_kept() -> Iterator[Any]:
    """What bcc and clang print to descriptor 2 goes to a file; yields a function that reads it."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield lambda: os.pread(sink.fileno(), 1 << 20, 0).decode("utf-8", "replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _short(error: Exception) -> str:
    """One line: bcc's own messages may quote the whole program."""
    return str(error).split("\n", 1)[0][:200]


def _first_error(text: str) -> str:
    return next((line for line in text.splitlines() if "error:" in line), "")


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
