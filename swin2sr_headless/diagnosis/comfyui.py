"""ComfyUI checkouts on this machine, and whether they have this pack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

OLDEST = (0, 3, 64)
_VERSION = re.compile(r"""__version__\s*=\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class ComfyUIFinding:
    """A checkout: its version (empty where it tells none), and the pack's folder in it, if any.

    `copies` is how many folders there have this pack: with two, ComfyUI takes one of them.
    """

    path: Path
    version: str
    copies: int
    fault: str

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "path": str(self.path)}


def find_comfyui(named: Path | None = None) -> list[ComfyUIFinding]:
    """The checkout that is named, the one around this pack, and those in the usual places."""
    return [_finding(folder) for folder in dict.fromkeys(_checkouts(named))]


def is_checkout(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def _checkouts(named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named.expanduser().resolve()
    for folder in (*_around(), *_usual()):
        try:
            if is_checkout(folder):
                yield folder.resolve()
        except OSError:  # not ours to look into
            continue


def _around() -> Iterator[Path]:
    # ComfyUI/custom_nodes/<this pack>; by the path as it was imported, for packs are often links
    yield Path(__file__).absolute().parents[4]
    yield from (Path.cwd(), *Path.cwd().parents)


def _usual() -> Iterator[Path]:
    if chosen := os.environ.get("COMFYUI_DIR"):
        yield Path(chosen).expanduser()
    try:
        home = Path.home()
    except RuntimeError:
        return
    for name in ("ComfyUI", "comfyui", "comfy/ComfyUI", "Documents/ComfyUI", "src/ComfyUI"):
        yield home / name
    yield Path("/opt/ComfyUI")


def _finding(folder: Path) -> ComfyUIFinding:
    if not is_checkout(folder):
        fault = f"{folder} is no ComfyUI checkout: it has no main.py; name the folder that has it"
        return ComfyUIFinding(folder, "", 0, fault)
    version = _version(folder)
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    old = bool(numbers) and numbers < OLDEST
    wanted = ".".join(map(str, OLDEST))
    fault = f"ComfyUI {version} is older than {wanted}, which the nodes need" if old else ""
    return ComfyUIFinding(folder, version, _copies(folder), fault)


def _version(folder: Path) -> str:
    try:
        text = (folder / "comfyui_version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = _VERSION.search(text)
    return match[1] if match else ""


def _copies(folder: Path) -> int:
    try:
        packs = list((folder / "custom_nodes").iterdir())
    except OSError:
        return 0
    return sum((each / "nodes" / "tiled_upscale.py").is_file() for each in packs)
