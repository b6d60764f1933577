"""The same bytes from every host? And does `--each` go on after it was killed?

    python benchmarks/hosts.py [--comfyui DIR ...] [--each 200]

Every example workflow, with a small picture or clip, in this process (embedded), in a private
server of each checkout (--comfyui), and on a running server of it (--server). What differs from the
embedded host's files is told. faces_two_stage runs with compact-x4 in both
places, and generate_512_to_2048 from the decoded picture on; faces_from_detector needs other packs,
and is not run.
With --each, one folder of N pictures on each host, killed five times (SIGKILL) on its way: in the
end there must be N pictures, all as without. SWIN2SR_COMFYUI_PYTHON names the Python of ComfyUI.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "support"))
from clips import write_clip  # noqa: E402
from comfyui_server import running  # noqa: E402

KILLS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--comfyui", type=Path, action="append", default=[])
    parser.add_argument("--each", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder)
        hosts: dict[str, list[str]] = {"embedded": []}
        for checkout in arguments.comfyui:
            hosts[f"--comfyui {checkout.name}"] = ["--comfyui", str(checkout)]
            url = stack.enter_context(_server(checkout, place / checkout.name))
            hosts[f"--server {checkout.name}"] = ["--server", url]
        if arguments.each:
            folders(hosts, place, arguments.each)
        else:
            table(hosts, place)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


@contextmanager
def _server(checkout: Path, base: Path) -> Iterator[str]:
    os.environ["COMFYUI_DIR"] = str(checkout)
    os.environ["COMFYUI_PYTHON"] = os.environ.get("SWIN2SR_COMFYUI_PYTHON", sys.executable)
    with running(base) as url:
        yield url


# -- every example, on every host ----------------------------------------------------------------


def table(hosts: dict[str, list[str]], place: Path) -> None:
    inputs(place)
    for path in sorted((ROOT / "example_workflows" / "api").glob("*.json")):
        prompt = runnable(json.loads(path.read_text(encoding="utf-8")))
        if any(entry["class_type"] in _OTHER_PACKS for entry in prompt.values()):
            print(f"{path.stem:22} needs other packs: not run", flush=True)
            continue
        workflow = place / path.name
        workflow.write_text(json.dumps(prompt), encoding="utf-8")
        expected: dict[str, Path] = {}
        for host, options in hosts.items():
            out = place / "out" / path.stem / host.replace(" ", "_")
            began = time.perf_counter()
            made = run(workflow, out, [*options, "--input-dir", str(place / "input")])
            took = time.perf_counter() - began
            expected = expected or made if isinstance(made, dict) else expected
            print(f"{path.stem:22} {host:20} {took:5.1f} s  {verdict(made, expected)}", flush=True)


def inputs(place: Path) -> None:
    folder = place / "input"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 4), np.uint8)
    Image.fromarray(noise).save(folder / "example.png")
    write_clip(folder / "input.mp4")


def runnable(prompt: dict[str, Any]) -> dict[str, Any]:
    for node, entry in list(prompt.items()):
        if entry["class_type"] == "VAEDecode":
            size = {"width": 32, "height": 24, "batch_size": 1, "color": 0x336699}
            prompt[node] = {"class_type": "EmptyImage", "inputs": size}
        elif entry["class_type"] == "Swin2SR_Load":
            entry["inputs"]["model"] = "compact-x4"
        elif entry["class_type"] in _DIFFUSION:
            del prompt[node]
    return prompt


_OTHER_PACKS = ("UltralyticsDetectorProvider", "BboxDetectorSEGS")
_DIFFUSION = ("CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler")


def run(workflow: Path, out: Path, options: list[str]) -> dict[str, Path] | str:
    """The files that it made, by name; or why not."""
    ended = subprocess.run(
        [sys.executable, "-m", "swin2sr_core", "run", workflow, "--out", out, "--json", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(ended.stdout)
    if ended.returncode:
        return " ".join(each["message"] for each in report["errors"])
    return {path.name: path for path in sorted(out.rglob("*")) if path.is_file()}


def verdict(made: dict[str, Path] | str, expected: dict[str, Path]) -> str:
    if isinstance(made, str):
        return made[:150]
    if len(made) != len(expected):
        return f"other files: {sorted(made)} for {sorted(expected)}"
    # By order: the names of temporary files are random.
    verdicts = {same(*pair) for pair in zip(made.values(), expected.values(), strict=True)}
    return f"{len(made)} files, {', '.join(sorted(verdicts))}"


def same(one: Path, other: Path) -> str:
    if one.read_bytes() == other.read_bytes():
        return "same bytes"
    if one.suffix == ".png" and _without_text(one) == _without_text(other):
        return "same bytes but for the workflow in it"
    a, b = pixels(one), pixels(other)
    if a.shape != b.shape:
        return f"DIFFERENT sizes {a.shape}, {b.shape}"
    most = int(np.abs(a.astype(int) - b).max())
    return f"DIFFERENT by {most}" if most else "same pixels, other metadata"


def _without_text(path: Path) -> list[bytes]:
    """A PNG's chunks but for texts: ComfyUI's executor adds `is_changed` to the prompt there."""
    data, chunks, at = path.read_bytes(), [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] != b"tEXt":
            chunks.append(data[at : at + 12 + size])
        at += 12 + size
    return chunks


def pixels(path: Path) -> np.ndarray:
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    with Image.open(path) as image:
        return np.asarray(image)


# -- a folder, killed on its way -----------------------------------------------------------------


def folders(hosts: dict[str, list[str]], place: Path, count: int) -> None:
    pictures = place / "pictures"
    pictures.mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(noise).save(pictures / f"{number:03}.png")
    workflow = ROOT / "example_workflows" / "api" / "transparent_picture.json"
    expected: dict[str, str] = {}
    for host, options in hosts.items():
        out = place / "each" / host.replace(" ", "_")
        command = [
            *(sys.executable, "-m", "swin2sr_core", "run", str(workflow), "--json"),
            *("--each", str(pictures), "--out", str(out), *options),
        ]
        began = time.perf_counter()
        kept = [killed(command, out, (k + 1) * count // (KILLS + 1)) for k in range(KILLS)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
        found = contents(out)
        expected = expected or found
        wrong = sum(found.get(name) != value for name, value in expected.items())
        print(
            f"{host:20} {took:6.1f} s  exit {ended.returncode}, {len(found)} of {count} pictures, "
            f"{wrong} other than embedded; there at each kill: {kept}",
            flush=True,
        )


def killed(command: list[str], out: Path, after: int) -> int:
    """Start it, kill it once that many pictures are there; how many there were."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and len(contents(out, names=True)) < after:
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(contents(out, names=True))


def contents(out: Path, names: bool = False) -> dict[str, str]:
    """The pictures there, and what is in each."""
    found = []
    for folder, below, files in os.walk(out):  # which others may be working in
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(folder, name) for name in files if name.endswith(".png")]
    return {str(p.relative_to(out)): "" if names else _digest(p) for p in sorted(found)}


def _digest(path: Path) -> str:
    with Image.open(path) as image:
        return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


if __name__ == "__main__":
    main()
