"""Conversions beside the page's own: equal, different, refused, and why; seconds per file.

    python benchmarks/conversions.py GIVEN --definitions FILE [--peer COMMAND] [--json FILE]

GIVEN is a folder or a .tar archive of JSON files {"document": as saved, "prompt": as the page has
exported it}. Equal means equal up to nothing: values, links, node ids, titles. With --peer another
converter is run on the same files: a command with {document}, {definitions} and {prompt}, which
names the file that it writes; it is held to values and links alone, whatever its node ids are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from swin2sr_headless.workflow.definition_sources import definitions_from
from swin2sr_headless.workflow.document.definitions import Definitions
from swin2sr_headless.workflow.document.graph import to_api
from swin2sr_headless.workflow.document.source import read_workflow
from swin2sr_headless.workflow.problems import WorkflowError

Prompt = dict[str, dict[str, object]]


@dataclass(frozen=True)
class Row:
    """One file: "equal", "different" or "refused", why, and how long it took."""

    name: str
    verdict: str
    why: str
    seconds: float


def given(place: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """(name, {document, prompt}) of every file of a folder or an archive."""
    if place.is_dir():
        for path in sorted(place.rglob("*.json")):
            yield path.stem, json.loads(path.read_bytes())
        return
    with tarfile.open(place) as archive:
        for member in sorted(archive.getmembers(), key=lambda each: each.name):
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            document = json.loads(file.read()) if file else {}
            if "prompt" in document and "document" in document:
                yield Path(member.name).stem, document


def converted(document: dict[str, object], definitions: Definitions) -> Prompt:
    """What we make of it. Raises WorkflowError."""
    graph = read_workflow(document).graph(definitions, lambda name: f"no definition of {name}")
    return to_api(graph)  # type: ignore[return-value]


def differences(got: Prompt, wanted: Prompt) -> list[str]:
    """Sentences about what is not the same; none where everything is."""
    found = [f"node {each} is missing" for each in wanted.keys() - got.keys()]
    found += [f"node {each} is too many" for each in got.keys() - wanted.keys()]
    for node_id in got.keys() & wanted.keys():
        ours, theirs = got[node_id], wanted[node_id]
        for part in ("class_type", "_meta"):
            if ours.get(part) != theirs.get(part):
                found.append(f"{node_id} {part}: {ours.get(part)} for {theirs.get(part)}")
        a, b = ours["inputs"], theirs["inputs"]
        assert isinstance(a, dict) and isinstance(b, dict)
        found += [
            f"{node_id} {theirs['class_type']}.{name}: {a.get(name, 'nothing')!r:.40} for "
            f"{b.get(name, 'nothing')!r:.40}"
            for name in sorted(a.keys() | b.keys())
            if a.get(name) != b.get(name) or (name in a) != (name in b)
        ]
    return found


def compared(name: str, entry: dict[str, object], definitions: Definitions) -> Row:
    """One file, converted by us."""
    begun = time.perf_counter()
    try:
        got = converted(entry["document"], definitions)  # type: ignore[arg-type]
    except WorkflowError as error:
        return Row(name, "refused", str(error), time.perf_counter() - begun)
    seconds = time.perf_counter() - begun
    found = differences(got, entry["prompt"])  # type: ignore[arg-type]
    return Row(name, "different" if found else "equal", "; ".join(found), seconds)


def by_peer(name: str, entry: dict[str, object], command: str, definitions: Path) -> Row:
    """One file, converted by another program; node ids may be its own."""
    with tempfile.TemporaryDirectory() as folder:
        document, prompt = Path(folder, "document.json"), Path(folder, "prompt.json")
        document.write_text(json.dumps(entry["document"]), encoding="utf-8")
        words = shlex.split(command)
        names = {"document": document, "definitions": definitions, "prompt": prompt}
        begun = time.perf_counter()
        done = subprocess.run(
            [word.format(**names) for word in words], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - begun
        if done.returncode or not prompt.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            return Row(name, "refused", "".join(last), seconds)
        got = json.loads(prompt.read_bytes())
    same = _without_ids(got.get("prompt", got)) == _without_ids(entry["prompt"])  # type: ignore[arg-type]
    return Row(name, "equal" if same else "different", "", seconds)


def _without_ids(prompt: Prompt) -> list[str]:
    """Every node as text, in which links are what they lead to."""

    def text(node_id: str, depth: int) -> str:
        node = prompt.get(node_id, {})
        inputs = node.get("inputs", {})
        assert isinstance(inputs, dict)
        parts = {
            key: [text(str(value[0]), depth - 1), value[1]]
            if isinstance(value, list) and len(value) == 2 and depth
            else int(value)
            if isinstance(value, float) and value.is_integer()  # JavaScript knows no 1.0
            else value
            for key, value in inputs.items()
        }
        return json.dumps([node.get("class_type"), parts], sort_keys=True)

    return sorted(text(node_id, 2) for node_id in prompt)


def table(rows: list[Row]) -> str:
    """The counts, and each file that is not equal."""
    counts = {v: sum(row.verdict == v for row in rows) for v in ("equal", "different", "refused")}
    seconds = [row.seconds for row in rows]
    lines = [f"| {row.name} | {row.verdict} | {row.why} |" for row in rows if row.why]
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return "\n".join(
        [
            f"{len(rows)} files: {summary}; {statistics.median(seconds) * 1000:.1f} ms per file in "
            f"the median, {max(seconds) * 1000:.0f} ms at most",
            *(["", "| file | | why |", "|---|---|---|", *lines] if lines else []),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("given", type=Path, help="a folder or an archive of {document, prompt}")
    parser.add_argument("--definitions", required=True, help="as of `swin2sr convert`")
    parser.add_argument("--peer", help="another converter's command")
    parser.add_argument("--json", type=Path, help="write every row there")
    args = parser.parse_args()
    entries = list(given(args.given))
    definitions = definitions_from(args.definitions)
    found = {"swin2sr": [compared(name, entry, definitions) for name, entry in entries]}
    if args.peer:
        place = Path(args.definitions)
        found["peer"] = [by_peer(name, entry, args.peer, place) for name, entry in entries]
    for who, rows in found.items():
        print(f"{who}: {table(rows)}\n")
    if args.json:
        document = {who: [asdict(row) for row in rows] for who, rows in found.items()}
        args.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
