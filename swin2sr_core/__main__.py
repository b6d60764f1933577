"""`python -m swin2sr_core` is the `swin2sr` command."""

import sys

from .headless.cli import main

if __name__ == "__main__":
    sys.exit(main())
