"""The loader: compiles, loads and attaches, hands every descriptor over, and is gone.

The only module that imports bcc, and only inside run(): the compiler it brings is 100 MB that
no process should keep. Runs as root in a child of the supervisor.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netioctl.wire import layout
from netioctl.wire.errors import NetioError, PrerequisiteError
from netiod import btf, hooks

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
_PAGE = resource.getpagesize()
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}
#: <linux/sched.h>, <linux/mount.h>
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 1 << 12, 1 << 14, 1 << 18
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
    kernel_h = btf.write_kernel_h((top / "kernel.h").read_text(), btf.Btf.of_kernel())
    os.environ["BCC_KERNEL_SOURCE"] = str(top / "include")
    # Kernels before 5.11 charge maps to this limit; without CAP_SYS_RESOURCE it stays as it is.
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    rejected: list[dict[str, str]] = []
    for backend in hooks.BACKENDS:
        if settings.backend not in ("auto", backend.name):
            continue
        try:
            bpf, attached, missing = _attach(
                backend, _source(top, backend, kernel_h), settings, log
            )
        except Unavailable as why:
            log(f"back-end {backend.name} not used: {why}")
            rejected.append({"backend": backend.name, "why": str(why)})
            continue
        log(f"back-end {backend.name}: {', '.join(attached)}")
        return _describe(backend, bpf, attached, missing, rejected, settings)
    reasons = "; ".join(f"{r['backend']}: {r['why']}" for r in rejected)
    raise NetioError(f"no back-end could be attached: {reasons}")


def _source(top: Path, backend: hooks.Backend, kernel_h: str) -> str:
    """One text for BCC, which rewrites map calls only in its main file."""
    parts = [
        (top / "event.h").read_text(),
        _layout_checks(),
        kernel_h,
        *((top / name).read_text() for name in ("core.c", "hooks/regs.h")),
        (top / "hooks" / backend.source).read_text(),
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


def _attach(
    backend: hooks.Backend, source: str, settings: Settings, log: Any
) -> tuple[Any, list[str], list[dict[str, str]]]:
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
        "-Wno-everything",
    ]
    with _stderr_kept() as text:
        _few_symbols()
        try:
            bpf = Unattached(text=source.encode(), cflags=cflags)
        except Exception as error:
            raise Unavailable(
                f"does not compile: {_first_error(text()) or _short(error)}"
            ) from error
        attached: list[str] = []
        missing: list[dict[str, str]] = []
        for hook in (*backend.hooks, *hooks.COMMON):
            try:
                bpf.attach_raw_tracepoint(tp=hook.point.encode(), fn_name=hook.program.encode())
            except Exception as error:
                why = _last_error(text()) or _short(error)
                if hook.required:
                    raise Unavailable(f"{hook.point}: {why}") from error
                log(f"hook {hook.point} not attached: {why}; {hook.cost}")
                missing.append({"hook": hook.point, "why": f"{why}; {hook.cost}"})
            else:
                log(f"hook {hook.point} attached")
                attached.append(hook.point)
    return bpf, attached, missing


def _describe(
    backend: hooks.Backend,
    bpf: Any,
    attached: list[str],
    missing: list[dict[str, str]],
    rejected: list[dict[str, str]],
    settings: Settings,
) -> tuple[dict[str, Any], dict[str, int]]:
    fds = {f"map:{name}": bpf[name.encode()].map_fd for name in _MAPS}
    for hook in (*backend.hooks, *hooks.COMMON):
        if hook.point in attached:
            fds[f"prog:{hook.point}"] = bpf.funcs[hook.program.encode()].fd
            fds[f"link:{hook.point}"] = bpf.raw_tracepoint_fds[hook.point.encode()]
    info = {
        "backend": {
            "name": backend.name,
            "blind": list(backend.blind),
            "hooks": attached,
            "missing": missing,
            "rejected": rejected,
        },
        "ring_size": settings.ring_size,
        "meta_size": META_RING,
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


def _few_symbols() -> None:
    """Show bcc a short /proc/kallsyms: it reads all of the kernel's 120,000 lines, several
    times, to ask for these two, which every kernel with a ring buffer has.

    In a mount namespace of the loader's own; where that is refused, loading takes longer.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.NamedTemporaryFile() as symbols:
        for name in ("bpf_probe_read_kernel", "bpf_probe_read_user"):
            symbols.write(f"0000000000000000 T {name}\n".encode())
        symbols.flush()
        if libc.unshare(_CLONE_NEWNS) == 0:
            private = _MS_REC | _MS_PRIVATE
            if libc.mount(None, b"/", None, ctypes.c_ulong(private), None) == 0:
                source = symbols.name.encode()
                libc.mount(source, b"/proc/kallsyms", None, ctypes.c_ulong(_MS_BIND), None)


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
