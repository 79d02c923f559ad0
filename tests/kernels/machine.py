"""One virtual machine: boots, runs a command on this machine's own files, and is gone."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.errors import KernelsError
from tests.kernels.image import INIT, write_initramfs
from tests.kernels.packages import Kernel, cache_directory

_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "setpriv": "util-linux",
    "zstd": "zstd",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
#: Lines of the console that are shown when a guest did not come to its end: the last ones, or
#: those from where the kernel complains.
_LAST_LINES = 30
_COMPLAINT = re.compile(r"Kernel panic - not syncing: (.*)|BUG: |Oops: |general protection fault")
#: The boot is a second slower with messages on the serial console; these belong to every boot.
_PARAMETERS = (
    "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off rcupdate.rcu_expedited=1"
)
#: The guest's environment: nothing of the caller's.
_ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True)
class Shape:
    """How large a machine is, and how long it may run."""

    processors: int = 2
    memory: str = "2G"
    #: A part of a kernel's matrix takes 180 to 480 where nothing else runs.
    limit: float = 900.0
    #: Do the processors run at the same time? See `_command_line`.
    parallel: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `status` is the command's, or None with `why`.

    `began` is the monotonic clock's time in seconds.
    """

    status: int | None
    began: float
    seconds: float
    why: str = ""
    console: str = ""


def check_host() -> None:
    """Can there be virtual machines here?

    Raises:
        KernelsError: no; the text says what is missing.
    """
    if os.uname().machine != "x86_64":
        # The guest runs this machine's programs.
        raise KernelsError(f"the kernels are for x86-64, and this machine is {os.uname().machine}")
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise KernelsError(f"{program} is missing: install {package}")


def scratch(name: str) -> Path:
    """A new directory below the cache directory, which the caller removes.

    What a program left that was killed is removed here.
    """
    base = cache_directory() / "run"
    base.mkdir(parents=True, exist_ok=True)
    for left in base.iterdir():
        owner = re.fullmatch(r"\w+-(\d+)-\w+", left.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=base))


class Machine:
    """`share` is a directory that guest and host both write: /run/share in the guest.

    `init` is the guest's first program.
    """

    def __init__(self, kernel: Kernel, shape: Shape, init: Path = INIT) -> None:
        self.kernel, self._init = kernel, init
        self._shape = shape
        self._scratch = scratch(kernel.suite)
        self.share = self._scratch / "share"
        self.share.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def stop(self) -> None:
        """End it at once; from any thread."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def run(self, command: str, directory: Path, output: Callable[[bytes], None]) -> Outcome:
        """Run a shell command as root; `output` gets what it prints, as it comes."""
        write_initramfs(Path(self.kernel.modules), self._scratch / "initramfs", self._init)
        lines = [f"export {name}={shlex.quote(value)}" for name, value in _ENVIRONMENT.items()]
        lines += [f"cd {shlex.quote(str(directory))} || exit 126", command, ""]
        (self.share / "command").write_text("\n".join(lines))
        (self.share / "directory").write_text(f"{directory}\n")
        began = time.monotonic()
        with self._lock:
            if self._stopped:
                raise KernelsError("stopped before it began")
            self._process = subprocess.Popen(
                self._command_line(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl+C is for the caller, who stops the machine; see setpriv below for the rest.
                start_new_session=True,
            )
        process = self._process
        said: list[bytes] = []
        readers = [
            threading.Thread(target=_pump, args=(process.stdout, output)),
            threading.Thread(target=_pump, args=(process.stderr, said.append)),
        ]
        for reader in readers:
            reader.start()
        late = False
        try:
            process.wait(self._shape.limit)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            self._end(process)
            for reader in readers:
                reader.join()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        return self._outcome(process, late, began, b"".join(said))

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.kill()
        process.wait()

    def _outcome(
        self, process: subprocess.Popen[bytes], late: bool, began: float, said: bytes
    ) -> Outcome:
        times = (began, time.monotonic() - began)
        with contextlib.suppress(OSError, ValueError):
            return Outcome(int((self.share / "status").read_text()), *times)
        if late:
            why = f"not done after {self._shape.limit:.0f} s: ended"
        elif self._stopped:
            why = "stopped"
        elif process.returncode != 0:
            text = said.decode("utf-8", "replace").strip()
            why = f"QEMU ended with status {process.returncode}: {text}"
        else:
            why = "the guest switched itself off before the command had ended"
        try:
            console = (self._scratch / "console").read_text(errors="replace").splitlines()
        except OSError:
            console = []
        return Outcome(None, *times, *complaint(why, console))

    def _command_line(self) -> list[str]:
        return [
            # Should this program be killed, its machines go with it.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"),
            *("-display", "none", "-M", "q35", "-cpu", "max,-la57"),
            # No KVM: it is missing inside most virtual machines, and CI runs in one. Processors
            # take turns: when they run at once, QEMU 7.2 may keep an int3 that the guest's kernel
            # has patched away meanwhile, as it does when hooks are attached (it translates code
            # without a lock). That processor never gets past it then, or it jumps to address 0.
            *("-accel", f"tcg,thread={'multi' if self._shape.parallel else 'single'},tb-size=512"),
            *("-smp", str(self._shape.processors), "-m", self._shape.memory),
            *("-chardev", f"file,id=console,path={self._scratch}/console"),
            *("-serial", "chardev:console"),
            # Not stdio: at the end of its input that would close the port for the guest.
            *("-chardev", "file,id=out,path=/dev/stdout,append=on"),
            *("-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=out,name=out"),
            *("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=root,mount_tag=root"),
            *("-fsdev", f"local,id=share,path={self.share},security_model=none"),
            *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
            *("-kernel", self.kernel.vmlinux, "-initrd", str(self._scratch / "initramfs")),
            *("-append", _PARAMETERS),
        ]


def complaint(why: str, console: list[str]) -> tuple[str, str]:
    """Why a guest did not come to its end, and what of its console tells more."""
    for number, line in enumerate(console):
        found = _COMPLAINT.search(line)
        if found:
            panic = next((m[1] for m in map(_COMPLAINT.search, console) if m and m[1]), "")
            why += f": the kernel panicked: {panic}" if panic else ": the kernel found a fault"
            return why, "\n".join(console[number : number + _LAST_LINES])
    return why, "\n".join(console[-_LAST_LINES:])


def _pump(source: object, sink: Callable[[bytes], None]) -> None:
    descriptor = source.fileno()  # type: ignore[attr-defined]
    while True:
        data = os.read(descriptor, 65536)
        if not data:
            return
        sink(data)
