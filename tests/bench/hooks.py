"""Has the kernel time BPF programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

from netiod.maps import MapError, bpf
from tests.bench.running import BenchError

#: BPF_ENABLE_STATS and BPF_STATS_RUN_TIME of <linux/bpf.h>; kernel 5.8.
_ENABLE_STATS, _RUN_TIME = 32, 0


@contextlib.contextmanager
def timed() -> Iterator[None]:
    """Meanwhile the kernel adds up how often and how long each BPF program runs.

    What kernel.bpf_stats_enabled does, but by a descriptor: it ends with this process, however
    that ends, and leaves a setting of the administrator's alone.

    Raises:
        BenchError: the kernel refuses.
    """
    attr = ctypes.create_string_buffer(struct.pack("=I", _RUN_TIME), 4)
    try:
        descriptor = bpf(_ENABLE_STATS, attr)
    except MapError as error:
        raise BenchError(f"the kernel does not time BPF programs: {error}") from error
    try:
        yield
    finally:
        os.close(descriptor)
