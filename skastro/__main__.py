"""``python -m skastro``: the command line."""

import sys

from skastro.cli import main

if __name__ == "__main__":
    sys.exit(main())
