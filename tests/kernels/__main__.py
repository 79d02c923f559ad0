"""`python3 -m tests.kernels`."""

import sys

from tests.kernels.cli import main

if __name__ == "__main__":
    sys.exit(main())
