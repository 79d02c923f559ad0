"""`python3 -m tests.accuracy`."""

import sys

from tests.accuracy.cli import main

if __name__ == "__main__":
    sys.exit(main())
