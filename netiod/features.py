"""What the running kernel's BPF can do, found by trying or from its types, never by its version.

Layouts: union bpf_attr and struct bpf_insn of <linux/bpf.h>.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from netioctl.wire.errors import PrerequisiteError
from netiod.btf import Btf
from netiod.maps import MapError, bpf
from netiod.mounts import TRACEFS

_MAP_CREATE, _PROG_LOAD = 0, 5
_RINGBUF, _SOCKET_FILTER = 27, 1
_INSN = struct.Struct("=BBhi")
#: BPF_STX | BPF_ATOMIC | BPF_DW, BPF_ADD | BPF_FETCH.
_ATOMIC_DW, _FETCH_ADD = 0xDB, 0x01


class Features:
    """Answers about this kernel; each is looked for once."""

    def __init__(self, types: Btf) -> None:
        self.types = types

    @functools.cached_property
    def kprobes(self) -> bool:
        """Whether the kernel was built with kprobes (CONFIG_KPROBES)."""
        return self.types.has_function("register_kprobe")

    @functools.cached_property
    def cgroup_hooks(self) -> bool:
        """Whether it runs BPF programs for the sockets of a cgroup (CONFIG_CGROUP_BPF)."""
        return self.types.has_function("__cgroup_bpf_run_filter_sock_addr")

    @functools.cached_property
    def tracefs(self) -> bool:
        """Whether tracefs can be read, where tracepoints are described."""
        return os.access(TRACEFS / "events", os.R_OK)

    @functools.cached_property
    def atomic_fetch(self) -> bool:
        """Whether an atomic addition can tell the value before it (Linux 5.12)."""
        program = (
            (0xB7, 0, 0, 0),  # r0 = 0
            (0x7B, 0x0A, -8, 0),  # *(u64 *)(r10 - 8) = r0
            (0xB7, 1, 0, 1),  # r1 = 1
            (_ATOMIC_DW, 0x1A, -8, _FETCH_ADD),
            (0x95, 0, 0, 0),  # exit
        )
        code = b"".join(_INSN.pack(*each) for each in program)
        insns, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
        attr = ctypes.create_string_buffer(128)
        where = (ctypes.addressof(insns), ctypes.addressof(licence))
        struct.pack_into("=IIQQ", attr, 0, _SOCKET_FILTER, len(program), *where)
        try:
            os.close(bpf(_PROG_LOAD, attr))
        except MapError:
            return False
        return True

    @functools.cached_property
    def preemptible_tracepoints(self) -> bool:
        """Whether what hangs on a tracepoint runs with preemption on, protected by SRCU alone.

        Older kernels had SRCU too, for idle CPUs, and this function with it.
        """
        has_srcu = self.types.has_variable("tracepoint_srcu_srcu_data")
        return has_srcu and not self.types.has_function("srcu_free_old_probes")


def check_ring_buffer() -> None:
    """Try to make a BPF ring buffer.

    Raises:
        PrerequisiteError: the kernel has none.
    """
    attr = ctypes.create_string_buffer(128)
    struct.pack_into("=IIII", attr, 0, _RINGBUF, 0, 0, 4096)
    try:
        os.close(bpf(_MAP_CREATE, attr))
    except MapError as error:
        if error.errno == errno.EINVAL:
            raise PrerequisiteError(
                "this kernel has no BPF ring buffer (BPF_MAP_TYPE_RINGBUF), which netio needs: "
                "use Linux 5.8 or later"
            ) from error
