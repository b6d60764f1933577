"""Build an image of this checkout: collect wheels, then `docker build` without a network.

    python deploy/docker/build.py cpu --tag swin2sr:cpu --base python:3.12-slim-bookworm
    python deploy/docker/build.py cuda --tag swin2sr:cuda -- --index-url URL

The wheels are for this Python and machine: run it with the version that BASE has. What stands after
-- goes to `pip download`, such as the address of an index with torch for a CPU alone, or for CUDA.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXTRAS = {"cpu": "serve", "cuda": "serve", "ray": "serve,ray"}


def main(words: Sequence[str]) -> int:
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", choices=EXTRAS)
    parser.add_argument("--tag", default="swin2sr")
    parser.add_argument("--base", help="the image to build on (default: the Dockerfile's)")
    parser.add_argument("--network", default="default", help="none where BASE has tini")
    args = parser.parse_args(words[:at])
    with tempfile.TemporaryDirectory() as context:
        collect(Path(context) / "wheels", EXTRAS[args.target], words[at + 1 :])
        shutil.copy(HERE / "Dockerfile", context)
        build = ["docker", "build", "--target", args.target, "--tag", args.tag]
        if args.base is not None:
            build += ["--build-arg", f"BASE={args.base}"]
        return subprocess.call([*build, "--network", args.network, context])


def collect(folder: Path, extras: str, pip: Sequence[str] = ()) -> None:
    """Everything that the image installs, and pip itself, as wheels in a new folder."""
    folder.mkdir(parents=True)
    run = [sys.executable, "-m", "pip"]
    subprocess.run([*run, "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (own,) = folder.glob("swin2sr-*.whl")
    download = [*run, "download", "-q", "--only-binary", ":all:", "-d", str(folder), *pip]
    subprocess.run([*download, f"swin2sr[{extras}] @ {own.as_uri()}", "pip"], check=True)
    (folder / "requirements.txt").write_text(f"swin2sr[{extras}]\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
