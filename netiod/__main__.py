"""`python3 -m netiod`."""

import sys

from netiod.main import main

if __name__ == "__main__":
    sys.exit(main())
