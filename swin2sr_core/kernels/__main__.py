"""python -m swin2sr_core.kernels build: compile the fused kernels for this computer."""

from __future__ import annotations

import argparse
import logging
import sys

from ..errors import Swin2SRError
from . import library
from .build import build


def main(arguments: list[str] | None = None) -> int:
    """The exit code; what is done is told on standard output, what fails on standard error."""
    parser = argparse.ArgumentParser(prog="python -m swin2sr_core.kernels", description=__doc__)
    parser.add_argument(
        "command", choices=("build", "show"), help="compile them, or show which there are"
    )
    args = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        path = build() if args.command == "build" else library.find()
        if path is None:
            sys.stdout.write(f"not built: {library.BUILD_COMMAND}\n")
            return 0
        names = [kernel.name for kernel in library.Library.load(path).kernels]
    except Swin2SRError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{path}\nfor this CPU: {', '.join(names) or 'none'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
