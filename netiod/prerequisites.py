"""What has to be there before netiod starts: all of it is looked at, each lack with its remedy."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable

from netioctl.wire.errors import PrerequisiteError
from netiod import privileges, seccomp

BTF = "/sys/kernel/btf/vmlinux"
_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39


def check_root() -> None:
    """Before anything else is looked at, which another user could not see anyway.

    Raises:
        PrerequisiteError: this is not root.
    """
    if os.geteuid() != 0:
        raise PrerequisiteError("must run as root, which alone may load BPF: sudo netiod")


def check() -> None:
    """Everything that can be seen without loading a program.

    Raises:
        PrerequisiteError: something is missing; a line for each.
    """
    checks: tuple[Callable[[], str | None], ...] = (
        capabilities,
        bcc,
        lambda: module("numpy", "python3-numpy", "python3-numpy"),
        lambda: module("zmq", "python3-zmq", "python3-pyzmq or python3-zmq"),
        libseccomp,
        btf,
    )
    lacks = [lack for lack in (look() for look in checks) if lack]
    if lacks:
        raise PrerequisiteError("\n".join(lacks))


def capabilities() -> str | None:
    """Root in a container may lack what loading takes."""
    have = privileges.capabilities()
    if _CAP_SYS_ADMIN in have or {_CAP_BPF, _CAP_PERFMON} <= have:
        return None
    return (
        "root lacks the capabilities to load BPF programs: in a container, add "
        "CAP_BPF and CAP_PERFMON, before Linux 5.8 CAP_SYS_ADMIN"
    )


def bcc() -> str | None:
    """BCC, and not the other project of that name on PyPI. It is not imported: that takes 0.1 s."""
    lack = module("bcc", "python3-bpfcc", "python3-bcc")
    if lack:
        return lack
    spec = importlib.util.find_spec("bcc")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if any(os.path.exists(os.path.join(place, "libbcc.py")) for place in places):
        return None
    return (
        f"the module bcc at {', '.join(places) or 'an unknown place'} is another project's: "
        "pip uninstall bcc, then install python3-bpfcc (Debian, Ubuntu) or python3-bcc (Fedora, "
        "RHEL)"
    )


def module(name: str, debian: str, fedora: str) -> str | None:
    """A module of this interpreter, with the packages that bring it."""
    if importlib.util.find_spec(name) is not None:
        return None
    hint = "" if sys.executable.startswith("/usr/bin/") else "; and use /usr/bin/python3"
    return (
        f"{name} is not installed for {sys.executable}: "
        f"install {debian} (Debian, Ubuntu) or {fedora} (Fedora, RHEL){hint}"
    )


def libseccomp() -> str | None:
    """What filters the system calls of broker and gates."""
    try:
        seccomp.prepare()
    except OSError:
        return (
            f"{seccomp.LIBRARY} is not installed: install libseccomp2 (Debian, Ubuntu) or "
            "libseccomp (Fedora, RHEL)"
        )
    return None


def btf() -> str | None:
    """The kernel's own description of its types."""
    if os.access(BTF, os.R_OK):
        return None
    return (
        f"this kernel has no {BTF}: netio needs one built with CONFIG_DEBUG_INFO_BTF=y, "
        "as distributions' kernels are since Debian 11, Ubuntu 20.10, Fedora 31 and RHEL 8.2"
    )
