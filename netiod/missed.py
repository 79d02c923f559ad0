"""Operations that the hooks were not run for, as far as the kernel says."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

from netiod.maps import MapError, ProgramInfo

#: These run inside the other functions that are hooked: what they alone miss is counted there.
_INNER = frozenset(("sock_sendmsg", "sock_recvmsg"))
#: A line of tracefs's kprobe_profile: name, hits, misses. Names are those that attach.py gives.
_PROFILE = re.compile(r"^\s*r_(\w+)_netio_\d+\s+\d+\s+(\d+)$", re.M)


class Missed:
    """`programs`: descriptors by hook, of which those in `counting` count bytes; `profile`: the
    open kprobe_profile, if there are kretprobes.

    A program that was skipped is counted by the kernel, be it that a trampoline was busy on that
    CPU (recursion_misses) or that too many threads were inside a function (kprobe_profile). One
    operation may need several programs, so the sum is at least the number of operations.
    """

    def __init__(
        self, programs: Mapping[str, int], counting: Collection[str], profile: int | None
    ) -> None:
        self._programs = [fd for hook, fd in programs.items() if hook in counting]
        self._profile = profile

    def operations(self) -> int:
        """How many operations escaped at most, since the programs were loaded."""
        total = 0
        for fd in self._programs:
            try:
                total += ProgramInfo(fd).misses
            except MapError:
                break
        return total + self._returns()

    def _returns(self) -> int:
        if self._profile is None:
            return 0
        try:
            text = os.pread(self._profile, 1 << 20, 0).decode("ascii", "replace")
        except OSError:
            return 0
        return sum(int(n) for name, n in _PROFILE.findall(text) if name not in _INNER)
