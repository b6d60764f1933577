"""Runs every command and every Python block of the guides, each guide in a fresh clone.

    python benchmarks/guides.py
    python benchmarks/guides.py README.md docs/faces.md --with install --models FOLDER

Each clone has small pictures, films and folders under the names that guides use. What needs
something that is not here is counted as not run, with the reason. Links are looked at by
tests/test_documents.py.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from documents import Block, Document, documents  # noqa: E402

from swin2sr_core.models.catalog import CATALOG, locate  # noqa: E402

TIMEOUT = 600.0
SERVER = "http://127.0.0.1:8080"
OURS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

BY_COMMAND = (
    (r"\bpip install|-m venv|\bpre-commit\b", "install"),
    (r"\bgit clone|\bnpm |curl \.\.\.|models download|https://(?!example)", "network"),
    (r"\bsudo |systemctl|journalctl", "root"),
    (r"^docker |deploy/docker/build\.py", "docker"),
    (r"^(kubectl|helm) ", "kubernetes"),
    (r"^(ray|serve) |--ray ", "ray"),
    (r"\bcuda\b|nvidia", "gpu"),
    (r"--comfyui|--server |:8188|ComfyUI/|COMFYUI_DIR", "comfyui"),
    (r"^(pytest|ruff|pyright)\b|pytest$|benchmarks/|torchrun", "minutes"),
    (r"s3://|Set5|HELD_OUT|HR_FOLDER", "data"),
    (r"\btrtexec\b|\bother-program\b|\bnpm\b", "program"),
)
"""What a command needs by what stands in it."""


@dataclass(frozen=True)
class Ran:
    """A command: what became of it ("ran", "failed", "not run"), and why."""

    document: str
    line: int
    command: str
    state: str
    why: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("documents", nargs="*", help="guides, by path (default: all)")
    parser.add_argument("--with", dest="here", default="", help="needs that are met, with commas")
    parser.add_argument("--models", type=Path, help="a folder of downloaded models")
    parser.add_argument("-o", "--out", type=Path, help="also write all as JSON")
    args = parser.parse_args()
    here = {"server", *filter(None, args.here.split(","))}
    chosen = [(ROOT / name).resolve() for name in args.documents]
    ran: list[Ran] = []
    for document in documents():
        if not chosen or document.path in chosen:
            with tempfile.TemporaryDirectory(prefix="guides-") as folder:
                ran += Guide(document, Path(folder), here, args.models).run()
    for each in ran:
        if each.state == "failed":
            print(f"{each.document}:{each.line}: {each.command}\n    {each.why}")
    print(json.dumps(counts(ran), indent=2))
    if args.out:
        args.out.write_text(json.dumps([asdict(each) for each in ran], indent=1))
    sys.exit(any(each.state == "failed" for each in ran))


def counts(ran: list[Ran]) -> dict[str, object]:
    """How many ran, failed and did not run, these by what they need."""
    states = Counter(each.state for each in ran)
    reasons = Counter(each.why for each in ran if each.state == "not run")
    return {"commands": len(ran), **states, "not run for want of": dict(reasons.most_common())}


class Guide:
    """One guide in a clone of the checkout that it lies in."""

    def __init__(
        self, document: Document, folder: Path, here: set[str], models: Path | None
    ) -> None:
        self.document, self.here = document, here
        self.place = folder / "swin2sr"
        clone = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(self.place)]
        subprocess.run(clone, check=True)
        home, self.models = folder / "home", folder / "models"
        home.mkdir()
        shutil.copytree(models, self.models) if models else self.models.mkdir()
        inputs(self.place)
        self.environment = os.environ | {
            "HOME": str(home),
            "PATH": OURS,
            "PYTHONPATH": str(self.place),
            "SWIN2SR_CACHE_DIR": str(home / "cache"),
            "SWIN2SR_MODELS_DIR": str(self.models),
        }
        self.job = "ID"

    def run(self) -> list[Ran]:
        ran = []
        for block in self.document.blocks:
            with self.server(block) as already:
                for each in self.commands(block):
                    if already and _stays(each):
                        ran.append(Ran(self.document.name, block.line, each, "ran", "", 0.0))
                    else:
                        ran.append(self.one(block, each))
        return ran

    def commands(self, block: Block) -> list[str]:
        return [block.text] if block.language == "python" else block.commands

    def one(self, block: Block, command: str) -> Ran:
        shown = command.splitlines()[0] if block.language == "python" else command
        if missing := self.missing(block, command):
            return Ran(self.document.name, block.line, shown, "not run", missing, 0.0)
        begun = time.monotonic()
        try:
            why = self.served(command) if _stays(command) else self.done(block, command)
        except subprocess.TimeoutExpired:
            why = f"took over {TIMEOUT:.0f} s"
        seconds = round(time.monotonic() - begun, 2)
        print(f"{self.document.name}:{block.line} {seconds:7.2f} s  {shown}", file=sys.stderr)
        state = "failed" if why else "ran"
        return Ran(self.document.name, block.line, shown, state, why, seconds)

    def missing(self, block: Block, command: str) -> str:
        """What is not here that the command needs; empty where all is."""
        needs = [need for pattern, need in BY_COMMAND if re.search(pattern, command)]
        for need in (*block.needs, *needs):
            kind, _, name = need.partition(" ")
            if kind == "module" and importlib.util.find_spec(name):
                continue
            if kind == "program" and name and shutil.which(name):
                continue
            if kind not in self.here:
                return need
        for entry in CATALOG:
            elsewhere = f"models download {entry.name}" in command or "swin2sr plan" in command
            named = re.search(rf"(?<![\w-]){re.escape(entry.name)}(?![\w-])", command)
            if named and not elsewhere and locate(entry, self.models) is None:
                return f"model {entry.name}"
        return ""

    def done(self, block: Block, command: str) -> str:
        """Run it; why it failed, else empty."""
        line = command.replace("/jobs/ID", f"/jobs/{self.job}")
        call = ["python", "-c", line] if block.language == "python" else ["bash", "-c", line]
        ended = subprocess.run(
            call,
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if found := re.search(r"/jobs/(\w{8,})", ended.stdout):
            self.job = found[1]
        if ended.returncode == 0:
            return ""
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        return f"exit {ended.returncode}: {said[-1] if said else ''}"

    def served(self, command: str) -> str:
        """Start a server; it has to answer, and to end well when it is told to."""
        process = self.started(command)
        answered = _answers(process)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=TIMEOUT)[1]
        if answered and process.returncode in (0, 130):
            return ""
        return f"exit {process.returncode}: {(said.strip().splitlines() or [''])[-1]}"

    def started(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command.rpartition('&&')[2].strip()}"],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextlib.contextmanager
    def server(self, block: Block):
        """A service for blocks that talk to one, whether they start it or not; True if it is up."""
        if not any(SERVER in command for command in self.commands(block)):
            yield False
            return
        process = self.started("swin2sr serve")
        try:
            yield _answers(process)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _stays(command: str) -> bool:
    return bool(re.search(r"(^|&& )swin2sr serve\b(?!.*--help)", command))


def _answers(process: subprocess.Popen[str]) -> bool:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{SERVER}/readyz", timeout=2):
            return True
        time.sleep(0.2)
    return False


def inputs(place: Path) -> None:
    """Small files under the names that guides use."""
    from PIL import Image

    portrait = Image.open(place / "examples" / "astronaut_128.png").convert("RGB")
    small = portrait.crop((32, 0, 96, 48))
    for name in ("photo.jpg", "a.jpg", "art.png", "a.png", "b.png", "example.png", "small.png"):
        small.save(place / name)
    small.save(place / "old.jpg")
    small.save(place / "texture.png")
    portrait.save(place / "group.jpg")
    for folder in ("scans", "holiday", "photos", "holiday/beach"):
        (place / folder).mkdir()
        small.save(place / folder / "one.jpg")
        small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(place / folder / "two.png")
    frames = [small, small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    frames[0].save(place / "loop.gif", save_all=True, append_images=frames[1:], duration=80)
    (place / "names.txt").write_text("a.png\nb.png\n")
    for name in ("workflow.json", "upscale.json"):
        shutil.copy(place / "example_workflows" / "upscale_picture.json", place / name)
    (place / "workflows").mkdir()
    shutil.copy(place / "workflow.json", place / "workflows" / "one.json")
    with contextlib.suppress(ImportError):
        film(place / "clip.mp4", frames)


def film(path: Path, frames: list) -> None:
    """Four pictures of 64x48, by PyAV."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for each in (*frames, *frames):
            container.mux(stream.encode(av.VideoFrame.from_image(each)))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
