"""`python3 -m tools.deb STAGE DIR`: Debian packages of what `./netio install` laid out in STAGE.

dpkg-deb alone: debhelper would bring a hundred packages to do what is a copy, two lists and five
short scripts (tools/debian) here.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

from netioctl import __version__

TOP = Path(__file__).resolve().parents[1]
SCRIPTS = TOP / "tools" / "debian"
#: Whoever builds, as Debian's own tools ask for it.
MAINTAINER = (
    f"{os.environ.get('DEBFULLNAME', 'netio')} <{os.environ.get('DEBEMAIL', 'netio@example.org')}>"
)
#: What install needs to remove things again; dpkg knows that by itself.
_DROPPED = re.compile(r"usr/lib/netio/(MANIFEST|netiod\.toml)")


class Package(NamedTuple):
    """A package: which files of the stage are in it, and what dpkg is told of it."""

    name: str
    files: re.Pattern[str]
    depends: tuple[str, ...]
    recommends: tuple[str, ...]
    suggests: tuple[str, ...]
    section: str
    summary: str
    description: str


PACKAGES = (
    Package(
        "netiod",
        re.compile(
            r"usr/sbin/|usr/lib/netio/(netiod|bpf)/|usr/lib/(systemd|sysusers\.d|tmpfiles\.d)/"
            r"|etc/netio/|usr/share/man/man8/"
        ),
        (
            f"netioctl (= {__version__})",
            "python3 (>= 3.9)",
            "python3 (>= 3.11) | python3-tomli",
            "python3-bpfcc",
            "python3-numpy",
            "python3-zmq",
            "libseccomp2",
            "passwd",
            "systemd | systemd-standalone-sysusers | systemd-sysusers",
        ),
        (),
        (),
        "net",
        "daemon that counts what processes send and receive",
        "netiod counts in the Linux kernel, with BPF, what chosen processes send and\n"
        "receive over the network, for each of their connections, and streams each\n"
        "operation to viewers. The processes are not stopped, restarted or changed,\n"
        "and no kernel headers are needed. Users see their own processes; root and\n"
        "members of group netio see all.",
    ),
    Package(
        "netioctl",
        re.compile(r"usr/bin/|usr/lib/netio/netioctl/|usr/share/"),
        ("python3 (>= 3.9)", "python3-click", "python3-zmq"),
        (f"netiod (= {__version__})", "python3-numpy"),
        ("python3-matplotlib", "python3-prometheus-client"),
        "net",
        "shows live what processes send and receive",
        "netioctl shows what a running process sends and receives: each socket\n"
        "operation live, with its size and the two ends of its connection, and exact\n"
        "totals for each connection. It talks to the daemon netiod and needs no\n"
        "privileges for one's own processes.",
    ),
)


def main(arguments: list[str]) -> int:
    """Build all packages; print the names of their files."""
    stage, target = map(Path, arguments)
    target.mkdir(parents=True, exist_ok=True)
    # The same source makes the same files, where whoever builds says which day it is.
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(int(time.time())))
    files = [path.relative_to(stage) for path in sorted(stage.rglob("*")) if not path.is_dir()]
    left = {str(file) for file in files if not _DROPPED.fullmatch(str(file))}
    for package in PACKAGES:
        own = sorted(file for file in left if package.files.match(file))
        left -= set(own)
        print(_build(package, stage, own, target))
    if left:
        print(f"in no package: {' '.join(sorted(left))}", file=sys.stderr)
    return 1 if left else 0


def _build(package: Package, stage: Path, files: list[str], target: Path) -> Path:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        for file in files:
            place = root / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(stage / file, place)
            if "/man/" in file:
                _compress(place)
        _document(package, root / "usr/share/doc" / package.name)
        _control(package, root)
        for path in root.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        made = target / f"{package.name}_{__version__}_all.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return made


def _compress(path: Path) -> None:
    data = gzip.compress(path.read_bytes(), 9, mtime=0)
    path.with_name(path.name + ".gz").write_bytes(data)
    path.unlink()


def _document(package: Package, place: Path) -> None:
    place.mkdir(parents=True)
    _write(
        place / "copyright",
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: netio\n\n"
        "Files: *\nCopyright: 2026 The netio developers\nLicense: Apache-2.0\n\n"
        "Files: usr/lib/netio/bpf/*\nCopyright: 2026 The netio developers\n"
        "License: Apache-2.0 or GPL-2\n\n"
        "License: Apache-2.0\n On Debian systems, the Apache License, Version 2.0, is in\n"
        " /usr/share/common-licenses/Apache-2.0.\n\n"
        "License: Apache-2.0 or GPL-2\n As above, or under the GNU General Public License,\n"
        " version 2, which is in /usr/share/common-licenses/GPL-2.\n",
    )
    date = formatdate(int(os.environ["SOURCE_DATE_EPOCH"]))
    changes = (
        f"netio ({__version__}) unstable; urgency=medium\n\n"
        f"  * netio {__version__}; CHANGES.gz says what is new in it.\n\n"
        f" -- {MAINTAINER}  {date}\n"
    )
    _write(place / "changelog", changes)
    _compress(place / "changelog")
    if package.name == "netioctl":
        for source, name in (("README.md", "README.md"), ("CHANGELOG.md", "CHANGES")):
            _write(place / name, (TOP / source).read_text())
            _compress(place / name)


def _control(package: Package, root: Path) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = "".join(
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
        if path.relative_to(root).parts[0] != "etc"
    )
    size = sum(path.stat().st_size // 1024 + 1 for path in files)
    fields = {
        "Package": package.name,
        "Source": "netio",
        "Version": __version__,
        "Architecture": "all",
        "Maintainer": MAINTAINER,
        "Installed-Size": str(size),
        "Depends": ", ".join(package.depends),
        "Recommends": ", ".join(package.recommends),
        "Suggests": ", ".join(package.suggests),
        "Section": package.section,
        "Priority": "optional",
        "Description": package.summary
        + "".join(f"\n {line}" for line in package.description.splitlines()),
    }
    place = root / "DEBIAN"
    place.mkdir()
    text = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    _write(place / "control", text)
    _write(place / "md5sums", sums)
    settings = [f"/{path.relative_to(root)}\n" for path in files if path.match("etc/*/*")]
    if settings:
        _write(place / "conffiles", "".join(settings))
    for script in SCRIPTS.glob(f"{package.name}.*"):
        shutil.copy(script, place / script.suffix[1:])
        (place / script.suffix[1:]).chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
