"""Kernels from Debian's suites, through apt with a configuration of its own.

The machine's own package lists, keys and cache stay as they are: all that apt writes here is below
the cache directory, and nothing is installed. A kernel that was fetched once is used again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.kernels.errors import KernelsError, NoKernel
from tests.kernels.image import extract_vmlinux

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Where the machine's own sources name no mirror of Debian, as on Ubuntu.
_MIRROR = "http://deb.debian.org/debian/"
#: The generic kernel: that of Debian's cloud flavour comes without 9p.
_META = "linux-image-amd64"
#: From trixie's successor on the image is split; linux-base and the tools are not needed.
_PARTS = re.compile(r"linux-(image|binary|modules)-\d")


@dataclass(frozen=True)
class Suite:
    """A suite of Debian, and the series of its kernel where that does not change any more."""

    name: str
    series: str


SUITES = (
    Suite("bullseye", "5.10"),
    Suite("bookworm", "6.1"),
    Suite("trixie", "6.12"),
    Suite("sid", ""),
)


@dataclass(frozen=True)
class Kernel:
    """A kernel ready to boot."""

    suite: str
    version: str
    release: str
    vmlinux: str
    modules: str


def cache_directory() -> Path:
    """Where kernels are kept; NETIO_CACHE overrides."""
    chosen = os.environ.get("NETIO_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/netio")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netio"


def cached(suite: Suite) -> Kernel | None:
    """The kernel of `suite` that was fetched before, if any."""
    try:
        kernel = Kernel(**json.loads(_note(suite).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return kernel if Path(kernel.vmlinux).exists() and Path(kernel.modules).exists() else None


def fetch(suite: Suite, progress: Callable[[str], None]) -> Kernel:
    """The newest kernel of `suite`, downloaded and unpacked unless it is there.

    Raises:
        NoKernel: the suite has none that can be used.
        KernelsError: apt failed.
    """
    apt = _Apt(suite)
    progress(f"{suite.name}: reading the package lists of {apt.mirror}")
    apt.update()
    parts = _resolve(apt)
    version = parts[0][1]
    before = cached(suite)
    if before is not None and before.version == version:
        return before
    progress(f"{suite.name}: downloading {' '.join(name for name, _ in parts)} {version}")
    top = _directory(suite) / version
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    try:
        for name, exact in parts:
            apt.download(f"{name}={exact}", top)
        progress(f"{suite.name}: unpacking")
        for package in sorted(top.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(top)])
            package.unlink()
        kernel = _unpacked(suite, version, top)
    except BaseException:
        shutil.rmtree(top, ignore_errors=True)
        raise
    _note(suite).write_text(json.dumps(asdict(kernel), indent=1) + "\n")
    if before is not None:
        shutil.rmtree(_directory(suite) / before.version, ignore_errors=True)
    return kernel


def _directory(suite: Suite) -> Path:
    return cache_directory() / "kernels" / suite.name


def _note(suite: Suite) -> Path:
    return _directory(suite) / "kernel.json"


def _unpacked(suite: Suite, version: str, top: Path) -> Kernel:
    images = [p for p in _below(top) if p.name.startswith("vmlinuz")]
    modules = [p.parent for p in _below(top) if p.name == "kernel" and p.is_dir()]
    if not images or not modules:
        raise NoKernel(f"the packages of {version} hold no vmlinuz or no modules")
    vmlinux = top / "vmlinux"
    extract_vmlinux(images[0], vmlinux)
    return Kernel(suite.name, version, modules[0].name, str(vmlinux), str(modules[0]))


def _below(top: Path) -> Iterator[Path]:
    for pattern in ("boot/*", "lib/modules/*/*", "usr/lib/modules/*/*"):
        yield from sorted(top.glob(pattern))


def _resolve(apt: _Apt) -> list[tuple[str, str]]:
    """(package, version) of each package that holds a piece of the newest kernel."""
    found: dict[str, str] = {}
    todo = [_META]
    while todo:
        name = todo.pop(0)
        fields = apt.show(name)
        if fields is None:
            raise NoKernel(f"{apt.mirror} has no {name} in this suite")
        if name != _META:
            found[name] = fields["Version"]
        for dependency in fields.get("Depends", "").split(","):
            first = dependency.split("|")[0].split()
            if first and _PARTS.match(first[0]) and first[0] not in found:
                todo.append(first[0])
    if not found:
        raise NoKernel(f"{_META} of this suite depends on no kernel that this tool knows")
    return list(found.items())


class _Apt:
    """apt-get and apt-cache for one suite."""

    def __init__(self, suite: Suite) -> None:
        self.mirror = mirror()
        if not KEYRING.exists():
            raise KernelsError(f"{KEYRING} is missing: install debian-archive-keyring")
        state = _directory(suite) / "apt"
        for name in ("lists/partial", "archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        sources = state / "sources.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {self.mirror} {suite.name} main\n")
        settings = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::Etc::trustedparts": "-",
            "Dir::Etc::preferences": "-",
            "Dir::Etc::preferencesparts": "-",
            "Dir::State": state,
            "Dir::State::Lists": state / "lists",
            # Nothing counts as installed: what this machine runs has no say here.
            "Dir::State::status": "/dev/null",
            "Dir::Cache": state,
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "Acquire::Languages": "none",
            # Hooks of the machine that would index what is fetched here.
            "APT::Update::Post-Invoke-Success": "",
            "APT::Update::Error-Mode": "any",
            # A cache below somebody's home is closed to apt's own user.
            "APT::Sandbox::User": "root",
        }
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def update(self) -> None:
        """Read the suite's lists."""
        try:
            _run(["apt-get", *self._options, "-qq", "update"])
        except KernelsError as error:
            text = str(error)
            if "does not have a Release file" in text or "404" in text:
                raise NoKernel(f"{self.mirror} does not have this suite any more") from error
            raise NoKernel(f"{self.mirror}: {first_reason(text)}") from error

    def show(self, package: str) -> dict[str, str] | None:
        """The fields of the newest version of `package`; None where there is none."""
        try:
            text = _run(["apt-cache", *self._options, "--no-all-versions", "show", package])
        except KernelsError:
            return None
        lines = [line for line in text.splitlines() if ": " in line and line[0] != " "]
        return dict(line.split(": ", 1) for line in lines)

    def download(self, package: str, directory: Path) -> None:
        """Put the package file into `directory`."""
        _run(["apt-get", *self._options, "-qq", "download", package], cwd=directory)


def mirror() -> str:
    """The mirror of Debian that the machine's apt uses already, or Debian's own address."""
    form = "$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)"
    try:
        text = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    except KernelsError:
        return _MIRROR
    for line in text.splitlines():
        words = line.split()
        # The archives of security and of updates have no sid, and no old suites.
        if len(words) == 4 and words[:2] == ["Debian", "main"] and "-" not in words[2]:
            return words[3]
    return _MIRROR


def first_reason(text: str) -> str:
    """What apt complains about, of all that it wrote: one line."""
    for pattern in (r"Failed to fetch .*", r"[EW]: (.*)", r".+"):
        found = re.search(pattern, text)
        if found:
            return " ".join(found[found.re.groups].split())
    return "no word why"


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise KernelsError(f"{command[0]} failed: {said}")
    return done.stdout
