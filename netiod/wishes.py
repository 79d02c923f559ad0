"""What the kernel side is to do for each process that is held: its flags in the filter."""

from __future__ import annotations

from netiod.holding import Holding
from netiod.kernel import Kernel


class Wishes:
    """Every change of the kernel's filter happens here.

    `stream`, `follow` and `errors`: the bits that have events emitted, children chosen, and
    failures emitted.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._count, self.stream, self.follow, self.errors = (
            kernel.layout.constants[f"NETIO_FILTER_{flag}"]
            for flag in ("COUNT", "STREAM", "FOLLOW", "ERRORS")
        )
        #: Those whose children are wanted.
        self._followed: set[Holding] = set()

    def apply(self, holding: Holding) -> None:
        """Have done what those who hold it wish, once it is decided who they are."""
        if holding.undecided:
            return
        wanted = holding.streamed or holding.emit_until is not None
        flags = self._count | self.stream * wanted | self.follow * holding.followed
        flags |= self.errors * holding.failing
        if holding.followed:
            self._followed.add(holding)
        else:
            self._followed.discard(holding)
        self._kernel.set_filter(holding.pid, flags)

    def drop(self, holding: Holding) -> None:
        """Have nothing done for it any more."""
        self._kernel.set_filter(holding.pid, 0)
        self._followed.discard(holding)

    @property
    def following(self) -> bool:
        """Whether children of some process are wanted."""
        return bool(self._followed)
