"""Run the command line with ``python -m brainmass_delays``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
