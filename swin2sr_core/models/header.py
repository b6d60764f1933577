"""The config of a model from the names and shapes in its file: no weight is read."""

from __future__ import annotations

import pickle
import zipfile
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from ..network.config import Swin2SRConfig, infer_config
from .catalog import CatalogEntry
from .checkpoint import official_names, unwrap


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
        raise CheckpointError(f"what network {entry.name} is shows only when its file is here")
    return _PUBLISHED[entry.name]


def read_config(path: Path) -> Swin2SRConfig:
    """The network in a .safetensors or .pth file, by its table of contents.

    Raises CheckpointError where that does not tell: no Swin2SR, damaged, or torch's format from
    before 1.6, which has no table; OSError where the file is gone.
    """
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, _mtime: int, _size: int) -> Swin2SRConfig:
    shapes = _safetensors_shapes(path) if path.suffix == ".safetensors" else _torch_shapes(path)
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return infer_config({n: tuple(t.shape) for n, t in official_names(state).items()})


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(str(path), "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path.name} is no whole safetensors file ({error}); download or copy it again"
        ) from error


def _torch_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensors on the meta device have shapes and nothing else; the file is mapped, not read."""
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path.name} is in torch's old format, which tells nothing before it is loaded"
        )
    try:
        content = torch.load(path, map_location="meta", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is damaged or holds more than tensors; download it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds no dict of tensors; save the state dict")
    return {name: tuple(tensor.shape) for name, tensor in unwrap(content).items()}
