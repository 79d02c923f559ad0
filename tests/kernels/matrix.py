"""The accuracy matrix and some system tests in each kernel."""

from __future__ import annotations


def run(*_):
    raise NotImplementedError
