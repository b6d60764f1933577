"""The known checkpoints: their names, where they come from, and which of them are on this machine.

Nothing here touches the network; `download.py` does, when it is asked to.
"""

import difflib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ModelNotFoundError
from ..machine.cache_folder import cache_folder
from ..sentences import sentence
from .checksums import recorded_sha256, sha256_of

MODEL_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".onnx")
_BUNDLED_FOLDER = Path(__file__).parent / "bundled"
_RELEASE = "https://github.com/mv-lab/swin2sr/releases/download/v0.0.1/"

Status = Literal["ok", "missing", "damaged", "unknown-hash"]


@dataclass(frozen=True)
class CatalogEntry:
    """One model file that this project knows by name.

    `url` is None for a file that comes with the package. `size` (bytes) and `sha256` (lower-case
    hex) are None where nobody has published them; then the first download records what it got.
    `rough_size` (bytes) is the published size rounded to 0.1 MB: to show, never to check against.
    `scale` is 1 for kinds that do not enlarge.
    """

    name: str
    file_name: str
    url: str | None
    size: int | None
    sha256: str | None
    licence: str
    purpose: str
    scale: int
    kind: str = "upscaler"
    rough_size: int | None = None

    @property
    def bundled(self) -> bool:
        """Whether the file comes with the package."""
        return self.url is None


# The authors publish no checksums. Each sha256 of an official file below was found identical in at
# least two independent public copies; the lightweight file has none, nor a published size.
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name="compact-x4",
        file_name="compact_x4.safetensors",
        url=None,
        size=1_186_144,
        sha256="1504fbd7c62d611122d201ffeb77ac67afccb9aa8bb11cda5c0d522c006e1767",
        licence="Apache-2.0",
        purpose="small and quick, for clean or mildly JPEG-compressed photographs; bundled",
        scale=4,
    ),
    CatalogEntry(
        name="compact-real-x4",
        file_name="compact_real_x4.safetensors",
        url=None,
        size=1_186_152,
        sha256="37e295171fa3f3f6b3cb21e073d0eba89f441e57aac6dd93dbd5fd0604c8e167",
        licence="Apache-2.0",
        purpose="small and quick, for JPEGs, scans, noisy and old photographs; bundled",
        scale=4,
    ),
    CatalogEntry(
        name="classical-x2",
        file_name="Swin2SR_ClassicalSR_X2_64.pth",
        url=_RELEASE + "Swin2SR_ClassicalSR_X2_64.pth",
        size=68_764_341,
        sha256="04834dbf863f00168ece32f9fc34ad1e3ad48ff1bf8098812573ed5810b59fa0",
        licence="Apache-2.0",
        purpose="best fidelity on clean pictures, x2",
        scale=2,
    ),
    CatalogEntry(
        name="classical-x4",
        file_name="Swin2SR_ClassicalSR_X4_64.pth",
        url=_RELEASE + "Swin2SR_ClassicalSR_X4_64.pth",
        size=None,
        sha256="9fef30c758897992581f6b3ae7802bea246bc56d88dd36403d377d8dcf47a173",
        licence="Apache-2.0",
        purpose="best fidelity on clean pictures, x4",
        scale=4,
        rough_size=69_400_000,
    ),
    CatalogEntry(
        name="realworld-x4",
        file_name="Swin2SR_RealworldSR_X4_64_BSRGAN_PSNR.pth",
        url=_RELEASE + "Swin2SR_RealworldSR_X4_64_BSRGAN_PSNR.pth",
        size=None,
        sha256="2b7afb6ba8c076f7a4987001c142b7bc5f23bf229125775eee599faf5bf7c40e",
        licence="Apache-2.0",
        purpose="blurred, noisy or compressed real photographs, x4",
        scale=4,
        rough_size=68_600_000,
    ),
    CatalogEntry(
        name="compressed-x4",
        file_name="Swin2SR_CompressedSR_X4_48.pth",
        url=_RELEASE + "Swin2SR_CompressedSR_X4_48.pth",
        size=None,
        sha256="ed3f5dac3c1b9d07c9803f586cde6cdd75c96d975b6e50625afb623f22cf2a79",
        licence="Apache-2.0",
        purpose="pictures with heavy JPEG compression, x4",
        scale=4,
        rough_size=61_100_000,
    ),
    CatalogEntry(
        name="lightweight-x2",
        file_name="Swin2SR_Lightweight_X2_64.pth",
        url=_RELEASE + "Swin2SR_Lightweight_X2_64.pth",
        size=None,
        sha256=None,
        licence="Apache-2.0",
        purpose="a twelfth of the classical network's size, clean pictures, x2",
        scale=2,
    ),
    CatalogEntry(
        name="yunet",
        file_name="face_detection_yunet_2023mar.onnx",
        url=None,
        size=232_589,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        licence="MIT",
        purpose="finds faces (YuNet, OpenCV Zoo); bundled",
        scale=1,
        kind="face-detector",
    ),
)


@dataclass(frozen=True)
class ModelRow:
    """A catalog entry and the file that stands for it here: None and 0 where there is none."""

    entry: CatalogEntry
    path: Path | None
    bytes: int


@dataclass(frozen=True)
class Verification:
    """What `verify` found: `expected` is the sha256 compared with, None where none is known."""

    entry: CatalogEntry
    status: Status
    path: Path | None = None
    size: int | None = None
    sha256: str | None = None
    expected: str | None = None


def models_dir() -> Path:
    """The folder for downloaded models: SWIN2SR_MODELS_DIR, else the platform's cache folder.

    The folder need not exist; downloading creates it.
    Raises ModelNotFoundError where the system names no home folder.
    """
    try:
        if chosen := os.environ.get("SWIN2SR_MODELS_DIR"):
            return Path(chosen).expanduser()
        return cache_folder(sys.platform, os.environ, Path.home())
    except RuntimeError as error:
        raise ModelNotFoundError(
            f"there is no folder to keep models in ({error}): set SWIN2SR_MODELS_DIR to one"
        ) from error


def find_entry(name: str) -> CatalogEntry:
    """The entry of that catalog name or file name, in any case.

    Raises ModelNotFoundError that suggests near names.
    """
    if entry := _entry_called(name):
        return entry
    raise _unknown(name)


def locate(
    entry: CatalogEntry, folder: Path | None = None, search_paths: Iterable[Path] = ()
) -> Path | None:
    """The file of an entry: the bundled one, else in `folder` (models_dir()), else in the others.

    A converted twin (the same stem with .safetensors) counts where the file itself is missing.
    """
    if entry.bundled and (_BUNDLED_FOLDER / entry.file_name).is_file():
        return _BUNDLED_FOLDER / entry.file_name
    names = (entry.file_name, f"{Path(entry.file_name).stem}.safetensors")
    folders = (models_dir() if folder is None else folder, *search_paths)
    candidates = (place / name for place in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)


def resolve_model(
    name_or_path: str | Path, folder: Path | None = None, search_paths: Iterable[Path] = ()
) -> Path:
    """The model file that a user means by a catalog name, a path, or a file name in the folders.

    A catalog name wins over a file of that name in the working folder. `folder` is where downloads
    go (models_dir() by default); `search_paths` are looked into after it.
    Raises ModelNotFoundError: not downloaded (and how to get it), no such file, or an unknown name.
    """
    text, places = str(name_or_path), tuple(search_paths)
    path = _expanded(text)
    entry = _entry_called(text) if isinstance(name_or_path, str) else None
    named = entry is not None and text.strip().lower() == entry.name
    if not named and path.is_file():
        return path
    if entry is not None:
        if found := locate(entry, folder, places):
            return found
        raise ModelNotFoundError(_absent(entry, folder))
    if isinstance(name_or_path, Path) or _looks_like_a_path(text):
        return _elsewhere(path, folder, places)
    raise _unknown(text)


def model_name(name_or_path: str | Path, path: Path) -> str:
    """What a model is called in reports: the name it was asked for by, or its file's stem."""
    return path.stem if Path(name_or_path).suffix else str(name_or_path)


def list_models(
    folder: Path | None = None, search_paths: Iterable[Path] = (), kind: str | None = None
) -> list[ModelRow]:
    """Every catalog entry (of that kind) with its file here, in the catalog's order."""
    places = tuple(search_paths)
    rows = []
    for entry in CATALOG:
        if kind is None or entry.kind == kind:
            path = locate(entry, folder, places)
            rows.append(ModelRow(entry, path, path.stat().st_size if path else 0))
    return rows


def verify(
    entry: CatalogEntry, folder: Path | None = None, search_paths: Iterable[Path] = ()
) -> Verification:
    """Compares an entry's file with the catalog, or else with what its first download recorded.

    "unknown-hash" means that there is nothing to compare with: a file put there by hand of which
    nobody published a sha256, or a converted twin.
    """
    path = locate(entry, folder, search_paths)
    if path is None:
        return Verification(entry, "missing")
    size, sha256 = path.stat().st_size, sha256_of(path)
    if path.name != entry.file_name:
        return Verification(entry, "unknown-hash", path, size, sha256)
    expected = entry.sha256 or recorded_sha256(path)
    if (entry.size not in (None, size)) or (expected not in (None, sha256)):
        status: Status = "damaged"
    else:
        status = "ok" if expected else "unknown-hash"
    return Verification(entry, status, path, size, sha256, expected)


def program() -> str:
    """How the command line is called here: by its name where it is installed, else as a module.

    A checkout that is not installed (a pack for ComfyUI) has the second only.
    """
    started = Path(sys.argv[0] if sys.argv else "")
    as_module = started.name == "__main__.py" and started.parent.name == "swin2sr_core"
    return "python -m swin2sr_core" if as_module else "swin2sr"


def by_hand(entry: CatalogEntry, folder: Path) -> str:
    """The half-sentence that tells how to get an entry's file into `folder` by hand."""
    return sentence(
        "by_hand",
        "fetch {url} in any other way and put {file} into {folder}",
        url=entry.url,
        file=entry.file_name,
        folder=folder,
    )


def _absent(entry: CatalogEntry, folder: Path | None) -> str:
    if entry.bundled:
        return sentence(
            "bundled_gone",
            "{file}, which belongs to the package, is gone: reinstall swin2sr",
            file=entry.file_name,
        )
    where = models_dir() if folder is None else folder
    return sentence(
        "model_to_download",
        "{name} is not on this machine: run `{program} models download {name}`, or, offline, "
        "{by_hand}",
        name=entry.name,
        program=program(),
        by_hand=by_hand(entry, where),
    )


def _entry_called(name: str) -> CatalogEntry | None:
    wanted = name.strip().lower()
    return next((e for e in CATALOG if wanted in (e.name, e.file_name.lower())), None)


def _unknown(name: str) -> ModelNotFoundError:
    names = [entry.name for entry in CATALOG]
    near = difflib.get_close_matches(name.strip().lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known names: {', '.join(names)}"
    return ModelNotFoundError(f"there is no model called {name!r}; {hint}")


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~user of nobody here: then it is no file either
        return Path(text)


def _looks_like_a_path(text: str) -> bool:
    return text.lower().endswith(MODEL_SUFFIXES) or "/" in text or "\\" in text


def _elsewhere(path: Path, folder: Path | None, places: tuple[Path, ...]) -> Path:
    """A bare file name in one of the folders; raises ModelNotFoundError where it is in none."""
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder; a model is one file")
    folders = (models_dir() if folder is None else folder, *places)
    if path.name == str(path):
        for place in folders:
            if (place / path).is_file():
                return place / path
        also = " nor in ".join(str(place) for place in folders)
        raise ModelNotFoundError(f"no such file: {path}, neither in {Path.cwd()} nor in {also}")
    raise ModelNotFoundError(f"no such file: {path}")
