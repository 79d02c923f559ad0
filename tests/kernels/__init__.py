"""Debian's kernels in virtual machines, and the accuracy matrix in each."""
