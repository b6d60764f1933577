"""The config of a model from the names and shapes in its file: no weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ..errors import CheckpointError
from ..export.onnx_file import SUFFIX, read_contract
from ..network.config import Swin2SRConfig, infer_config
from .catalog import CatalogEntry
from .names import official_names, unwrap
from .pickles import Entry
from .reader import read_contents


def _official(stages: int, channels: int, scale: int, head: str) -> Swin2SRConfig:
    """The published networks: six blocks with six heads in every stage, MLPs twice as wide."""
    sixes = (6,) * stages
    return Swin2SRConfig(
        in_channels=3,
        embed_dim=channels,
        depths=sixes,
        num_heads=sixes,
        window=8,
        mlp_dim=2 * channels,
        scale=scale,
        head=head,
        residual="1conv",
        img_range=1.0,
    )


_PUBLISHED = {
    "classical-x2": _official(6, 180, 2, "pixelshuffle"),
    "classical-x4": _official(6, 180, 4, "pixelshuffle"),
    "realworld-x4": _official(6, 180, 4, "nearest+conv"),
    "compressed-x4": _official(6, 180, 4, "pixelshuffle_aux"),
    "lightweight-x2": _official(4, 60, 2, "pixelshuffledirect"),
}


def published_config(entry: CatalogEntry) -> Swin2SRConfig:
    """The network of a catalog entry whose file is not here. Raises CheckpointError if unknown."""
    if entry.name not in _PUBLISHED:
        raise CheckpointError.saying(
            "network_unknown",
            "what network {name} is shows only when its file is here",
            name=entry.name,
        )
    return _PUBLISHED[entry.name]


def read_config(path: Path) -> Swin2SRConfig:
    """The network in a .safetensors or .pth file, by its table of contents, or of an exported one.

    Raises CheckpointError where that does not tell: no Swin2SR, damaged, or torch's format from
    before 1.6, of which too little is known before it is loaded; OSError where the file is gone.
    """
    if path.suffix.lower() == SUFFIX:
        return read_contract(path).network_config
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, _mtime: int, _size: int) -> Swin2SRConfig:
    contents = read_contents(path)
    if contents.old:
        raise CheckpointError.saying(
            "old_torch_format",
            "{name} is in torch's old format, which is only read to be loaded",
            name=path.name,
        )
    entries = official_names(unwrap(contents.tensors, Entry), joined)
    return infer_config(shapes_of(entries), contents.metadata)


def shapes_of(entries: Mapping[str, Entry]) -> dict[str, tuple[int, ...]]:
    """What `infer_config` asks for."""
    return {name: entry.shape for name, entry in entries.items()}


def joined(entries: list[Entry]) -> Entry:
    """Tensors one after the other along the first axis, as far as shapes go."""
    if not all(entry.shape for entry in entries):
        raise CheckpointError("a weight of an attention is a single number; the file is damaged")
    first = entries[0]
    rows = sum(entry.shape[0] for entry in entries)
    return Entry((rows, *first.shape[1:]), first.dtype)
