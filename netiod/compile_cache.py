"""Compiled programs are kept on disk: compiling takes longer than all else that starting does.

A file is only read if nobody but this user can have written it; its name stands for all that its
content depends on. Losing the directory costs a second.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from netiod.compiled import Compiled

#: Files kept, the latest: two kernels with all back-ends.
_MOST = 16
_WHOLE, _PART = ".bpf", ".part"
_DIGEST = hashlib.sha256
_OLD = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def key(text: str, cflags: Sequence[str], compiler: str) -> str:
    """The name for what `compiler`, a version, makes of `text` on this kernel."""
    system = os.uname()
    words = (compiler, system.release, system.version, system.machine, *cflags, text)
    digest = _DIGEST()
    for word in words:
        digest.update(b"%d " % len(word.encode()))
        digest.update(word.encode())
    return digest.hexdigest()


class CompileCache:
    """Those in `directory`, which is made if it is not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> Compiled | None:
        """What was kept under `name`; None: nothing, or what cannot be trusted.

        Raises:
            OSError: it cannot be read; says why.
        """
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Compiled.from_bytes(self._read(name))
        return None

    def put(self, name: str, compiled: Compiled) -> None:
        """Keep it under `name`, and forget the oldest if there are many.

        Raises:
            OSError: it cannot be kept; says why.
        """
        data = compiled.to_bytes()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._opened() as directory:
            part = f"{name}.{os.getpid()}{_PART}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=directory)
            file = os.open(part, _NEW, 0o600, dir_fd=directory)
            try:
                with os.fdopen(file, "wb") as output:
                    output.write(_DIGEST(data).digest() + data)
                os.rename(part, name + _WHOLE, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(part, dir_fd=directory)
                raise
            _forget(directory)

    def _read(self, name: str) -> bytes:
        with self._opened() as directory:
            file = os.open(name + _WHOLE, _OLD, dir_fd=directory)
            with os.fdopen(file, "rb") as source:
                _check(source.fileno(), f"{self._directory}/{name}{_WHOLE}")
                data = source.read()
            os.utime(name + _WHOLE, dir_fd=directory)
        size = _DIGEST().digest_size
        if _DIGEST(data[size:]).digest() != data[:size]:
            raise ValueError("it was not written to its end")
        return data[size:]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        directory = os.open(self._directory, _OLD | os.O_DIRECTORY)
        try:
            _check(directory, str(self._directory))
            yield directory
        finally:
            os.close(directory)


def _check(fd: int, path: str) -> None:
    """Nobody else may have written it."""
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "others can write to it", path)


def _forget(directory: int) -> None:
    """All but the latest: what is read counts as new. A part is one of a writer that was killed, or
    has its turn next time."""
    files = sorted(
        (os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime, name)
        for name in os.listdir(directory)
        if name.endswith((_WHOLE, _PART))
    )
    for _, name in files[:-_MOST]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
