"""What can go wrong before and around a virtual machine."""


class KernelsError(Exception):
    """Something that a person can act on; the text says what."""


class NoKernel(KernelsError):
    """A suite whose kernel cannot be had, now or any more: skipped, with the reason."""
