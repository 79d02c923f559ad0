"""`python3 -m netioctl`."""

from __future__ import annotations

import sys

from netioctl.main import main

if __name__ == "__main__":
    sys.exit(main())
