"""`python -m echoseg`."""

import sys

from echoseg.cli import main

if __name__ == "__main__":  # the worker processes of `simulate` import this file, too
    sys.exit(main())
