"""What netiod can be told: by option, by environment, by TOML file; the first of these wins."""

from __future__ import annotations

import mmap
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from netioctl.wire.control import DEFAULT_RUN_DIR
from netioctl.wire.errors import ConfigError, PrerequisiteError

#: Names of the back-ends, most exact first; "auto" is the first of them that attaches.
BACKENDS = ("tracepoint", "kprobe", "fexit", "syscall")
#: Read where no other file is named, if it exists.
DEFAULT_CONFIG = "/etc/netio/netiod.toml"
DEFAULT_USER = "netio"
#: The environment variable for the run directory; netioctl reads it too.
RUN_DIR_VARIABLE = "NETIO_RUN_DIR"

_MIN_RING = max(4096, mmap.PAGESIZE)
_MAX_RING = 1 << 30
_SIZE = re.compile(r"([0-9]+)([KMG]?)")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Settings:
    """One value for each key of the TOML file; an option has the same name, with dashes."""

    #: Absolute path of the directory of control socket, stream sockets and lock file.
    run_dir: str = DEFAULT_RUN_DIR
    #: Absolute path of the directory where compiled programs are kept.
    cache_dir: str = "/var/cache/netio"
    #: Its members are operators.
    group: str = "netio"
    #: Whom broker and gates run as.
    user: str = DEFAULT_USER
    #: "auto" or one of BACKENDS.
    backend: str = "auto"
    #: Bytes of the ring of events; a power of two.
    ring_size: int = 8 << 20
    #: Connections that have counters of their own at the same time.
    max_connections: int = 65536
    #: Processes that can be held at the same time.
    max_pids: int = 16384
    #: Count netlink sockets too.
    netlink: bool = False
    #: Count splice(2) from sockets where that takes hooks of its own.
    splice: bool = True
    #: Log each hook, and tracebacks.
    verbose: bool = False


def load(
    options: Mapping[str, Any], environ: Mapping[str, str], config: str | None = None
) -> Settings:
    """Settings from `options` (key to text or bool, None: not given), `environ`, and a TOML file.

    Args:
        config: the file; None means DEFAULT_CONFIG, which may be absent.

    Raises:
        ConfigError: a value, a key or the file is wrong; says where it stands.
        PrerequisiteError: there is a file, but nothing to read TOML with.
    """
    values: dict[str, Any] = {}
    path = DEFAULT_CONFIG if config is None else config
    for key, value in _read(path, must_exist=config is not None).items():
        if key not in _PARSERS:
            known = ", ".join(_PARSERS)
            raise ConfigError(f"{path}: unknown key {key!r}; the keys are {known}")
        values[key] = _parse(key, value, f"{path}: {key}")
    if environ.get(RUN_DIR_VARIABLE):
        values["run_dir"] = _parse("run_dir", environ[RUN_DIR_VARIABLE], RUN_DIR_VARIABLE)
    for key, value in options.items():
        if value is not None:
            # Options are text; in TOML a number in quotes is a mistake worth telling.
            number = int(value) if isinstance(value, str) and _is_number(value) else value
            values[key] = _parse(key, number, "--" + key.replace("_", "-"))
    return Settings(**values)


def _read(path: str, must_exist: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(f"{path}: {error.strerror}") from error
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ImportError as error:
        raise PrerequisiteError(
            f"{path}: this Python cannot read TOML: install python3-tomli, or remove the file"
        ) from error
    try:
        table: dict[str, Any] = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    return table


def _parse(key: str, value: Any, where: str) -> Any:
    try:
        return _PARSERS[key](value)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"{value!r} is not a name")
    return value


def _directory(value: Any) -> str:
    return os.path.abspath(_text(value))


def _backend(value: Any) -> str:
    if value not in ("auto", *BACKENDS):
        raise ValueError(f"{value!r} is not a back-end; there are auto, {', '.join(BACKENDS)}")
    return str(value)


def _ring_size(value: Any) -> int:
    size = value
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.upper())
        size = int(match[1]) * _UNITS[match[2]] if match else None
    if not isinstance(size, int) or isinstance(size, bool):
        raise ValueError(f"{value!r} is not a size in bytes, such as 8388608 or 8M")
    if not _MIN_RING <= size <= _MAX_RING or size & (size - 1):
        raise ValueError(f"{value!r} is not a power of two from {_MIN_RING} bytes to 1G")
    return size


def _count(most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(f"{value!r} is not an integer from 1 to {most}")
        return value

    return parse


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "run_dir": _directory,
    "cache_dir": _directory,
    "group": _text,
    "user": _text,
    "backend": _backend,
    "ring_size": _ring_size,
    "max_connections": _count(1 << 24),
    "max_pids": _count(1 << 22),
    "netlink": _flag,
    "splice": _flag,
    "verbose": _flag,
}
#: Every key that a file may have; a test holds it equal to the fields of Settings.
KEYS = tuple(f.name for f in fields(Settings))
