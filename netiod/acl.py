"""Who else may use a file of ours: POSIX access control lists, acl(5).

An owner needs no capability to set one, as giving a file away would; and those who are let in
cannot let in others. Numbers and layout: <linux/posix_acl.h>, <linux/posix_acl_xattr.h>.
"""

from __future__ import annotations

import errno
import os
import struct

_NAME = "system.posix_acl_access"
_VERSION, _NOBODY = 2, 0xFFFFFFFF
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_READ_WRITE = 0o6


def are_possible(path: str) -> bool:
    """Does the file system of `path` have access control lists?

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    try:
        os.getxattr(path, _NAME)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return False
        if error.errno != errno.ENODATA:
            raise
    return True


def let_in(path: str, uid: int | None = None, gid: int | None = None) -> None:
    """Only the owner of `path`, `uid` and the group `gid` may read and write it from now on.

    Raises:
        OSError: the kernel refuses.
    """
    entries = [(_USER_OBJ, _READ_WRITE, _NOBODY)]
    entries += [(_USER, _READ_WRITE, uid)] if uid is not None else []
    entries += [(_GROUP_OBJ, 0, _NOBODY)]
    entries += [(_GROUP, _READ_WRITE, gid)] if gid is not None else []
    entries += [(_MASK, _READ_WRITE, _NOBODY), (_OTHER, 0, _NOBODY)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, _NAME, struct.pack("<I", _VERSION) + packed)
