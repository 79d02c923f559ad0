"""Python, BCC and the rest of another Debian suite: a root file system to run the same in.

It is made once, below the cache directory, and used read-only: in the guest what is written there
goes to memory, as with all files of the host.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.kernels.errors import KernelsError
from tests.kernels.packages import KEYRING, cache_directory, first_reason, mirror

_PACKAGES = (
    *("python3", "python3-bpfcc", "python3-zmq", "python3-numpy", "python3-psutil"),
    *(
        "python3-click",
        "python3-pytest",
        "python3-hypothesis",
        "gcc",
        "libc6-dev",
        "iproute2",
        "util-linux",
        "procps",
    ),
)
#: Whom netiod's broker runs as.
_USER = (
    'chroot "$1" useradd --system --user-group --no-create-home --home-dir / '
    "--shell /usr/sbin/nologin netio"
)


def fetch(
    suite: str,
    renew: bool,
    progress: Callable[[str], None],
    name: str = "",
    packages: tuple[str, ...] = _PACKAGES,
) -> Path:
    """The root file system of `suite`, made unless it is there; `name` tells it from others of
    the same suite with other packages.

    Raises:
        KernelsError: it cannot be made.
    """
    if shutil.which("mmdebstrap") is None:
        raise KernelsError("mmdebstrap is missing: install it")
    target = cache_directory() / "userlands" / (name or suite)
    if target.is_dir() and not renew:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    source = mirror()
    progress(f"{suite}: installing its Python and BCC from {source} into {target}")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
    command += [f"--keyring={KEYRING}", f"--include={','.join(packages)}"]
    command += [f"--customize-hook={_USER}", *_settings(), suite, str(new), source]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        if done.returncode:
            raise KernelsError(f"{suite}: mmdebstrap failed: {first_reason(done.stderr)}")
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return target


def _settings() -> list[str]:
    """How the machine's own apt gets at mirrors: mmdebstrap does not read that by itself."""
    command = ["apt-config", "dump", "Acquire"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Settings without a value only group others; which lists there are is mmdebstrap's business.
    return [
        f"--aptopt={line}"
        for line in done.stdout.splitlines()
        if not line.endswith(' "";') and "::IndexTargets::" not in line
    ]


def inside(root: Path, directory: Path, command: str) -> str:
    """A shell command for the guest that runs `command` in `directory`, both seen from `root`."""
    where, checkout = shlex.quote(str(root)), shlex.quote(str(directory))
    script = f"cd {checkout} && {command}"
    lines = [
        # A mount, so that mount namespaces made inside can change how mounts spread.
        f"mount --bind {where} {where}",
        f"cd {where}",
        "for each in proc sys dev; do mount --rbind /$each $each; done",
        "for each in run tmp; do mount -t tmpfs tmpfs $each; done",
        "mkdir -p run/share",
        "mount --bind /run/share run/share",
        f"mkdir -p .{checkout}",
        f"mount --bind {checkout} .{checkout}",
        f"exec chroot . /bin/sh -c {shlex.quote(script)}",
    ]
    return "set -e\n" + "\n".join(lines)
