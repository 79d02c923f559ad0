"""A file's POSIX access control list, in words."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_TAGS = {1: "root", 2: "uid {}", 4: "root's group", 8: "gid {}", 0x10: "mask", 0x20: "others"}


def access_list(path: Path | str) -> str:
    """Who has which permissions (read 4, write 2, execute 1) on root's file `path`."""
    found = os.stat(path)
    assert (found.st_uid, found.st_gid) == (0, 0)
    data = os.getxattr(path, "system.posix_acl_access")
    assert data[:4] == b"\2\0\0\0"
    entries = struct.iter_unpack("<HHI", data[4:])
    return ", ".join(f"{_TAGS[tag].format(who)} {perm}" for tag, perm, who in entries)
