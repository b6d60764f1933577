"""`python -m swin2sr_core` is the `swin2sr` command."""

import sys

from swin2sr_headless.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
