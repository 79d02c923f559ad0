"""The broker's numpy: what it never uses stays out of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
SCRIPT = """
import sys
from netiod import numerics
numerics.load()
numerics.load()
from netiod import broker
import numpy as np
assert np.unique(np.array([3, 1, 3], np.uint32), return_counts=True)[1].tolist() == [1, 2]
print(*sorted({"_hashlib", "numpy.ma", "numpy.random", "numpy.polynomial"} & set(sys.modules)))
# Whoever needs one after all may still have it.
from numpy.random import default_rng
assert 0 <= default_rng(1).random() < 1
"""


def test_the_broker_is_without_what_it_never_uses() -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "\n"
