"""Breaks the code on purpose, one fault at a time, and counts how often the tests notice.

    python benchmarks/mutations.py [--only TEXT] [--commit COMMIT] [--jobs 2] [--prefix nice]

The faults are those of mutations.toml. Each is made in a copy of the tree, never in the checkout
itself. --only takes those whose id has TEXT in it. --commit takes code and tests as they were then,
and leaves out the faults whose text or tests that commit does not have. "noticed" is a test that
fails, "hung" one that ran into its time limit; both count as killed. --prefix is a command that
runs the tests' command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 120
"""Seconds for one test; the whole of a mutation's tests may take five times as long."""


@dataclass(frozen=True)
class Mutation:
    id: str
    file: str
    old: str
    new: str
    tests: list[str]


def read() -> list[Mutation]:
    with (ROOT / "benchmarks" / "mutations.toml").open("rb") as file:
        return [Mutation(**each) for each in tomllib.load(file)["mutation"]]


def copied(commit: str | None, folder: Path) -> Path:
    """The tree in a folder: of a commit, or as it is, with what is not committed."""
    tree = folder / "tree"
    tree.mkdir()
    if commit:
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
        return tree
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
    return tree


def outcome(tree: Path, mutation: Mutation, prefix: list[str], old: bool) -> str:
    """What the tests say of the tree with this fault; the tree is as before afterwards."""
    path = tree / mutation.file
    tests = [each for each in mutation.tests if (tree / each.partition("::")[0]).exists()]
    if old:  # a test of today may not be there: all of its file is as good
        tests = sorted({each.partition("::")[0] for each in tests})
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.count(mutation.old) != 1 or not tests:
        return "not there"
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "pytest", *tests, "-x", "-q", "-n0",
             "-p", "no:cacheprovider", f"--timeout={LIMIT}"],
            cwd=tree, capture_output=True, text=True, timeout=5 * LIMIT,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        path.write_text(text, encoding="utf-8")
    if done.returncode == 1:
        return "hung" if "Timeout (>" in done.stdout else "noticed"
    return "SURVIVED" if done.returncode == 0 else f"no answer ({done.returncode})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--commit")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    prefix = args.prefix.split()
    chosen = [each for each in read() if args.only in each.id]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        trees = []
        for number in range(args.jobs):
            place = Path(folder, str(number))
            place.mkdir()
            trees.append(copied(args.commit, place))

        def work(number: int) -> list[tuple[Mutation, str]]:
            found = []
            for mutation in chosen[number :: args.jobs]:
                found.append(
                    (mutation, outcome(trees[number], mutation, prefix, bool(args.commit)))
                )
                print(f"{found[-1][1]:<12} {mutation.id}", flush=True)
            return found

        results = [each for found in pool.map(work, range(args.jobs)) for each in found]
    tried = [(m, told) for m, told in results if told != "not there"]
    killed = [m for m, told in tried if told in ("noticed", "hung")]
    print(f"\nkilled {len(killed)} of {len(tried)}; not there: {len(results) - len(tried)}")


if __name__ == "__main__":
    main()
