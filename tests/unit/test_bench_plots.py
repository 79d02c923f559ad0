"""The plots of the benchmarks, tested in a process of their own: matplotlib takes more address
space than a gate may have, and other tests fork gates from this one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("plots_cases.py")
TOP = CASES.parents[2]


def test_plots() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("python3-matplotlib is missing")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
