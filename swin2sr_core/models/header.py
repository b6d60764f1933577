"""The config of a model from the names and shapes in its file: no weight is read, nor torch needed.

A .safetensors file begins with its table of contents as JSON. A .pth file is a zip archive whose
`data.pkl` pickles the state dict, with references to the weights instead of the weights.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from ..errors import CheckpointError
from ..network.config import Swin2SRConfig, infer_config
from .catalog import CatalogEntry
from .names import official_names, unwrap

_LARGEST_TABLE = 16 << 20
"""Bytes: those of Swin2SR files have about a hundredth of it, and a bad one may claim anything."""


class Shape(tuple[int, ...]):
    """The shape of a tensor in a file, and all that is known of it here."""


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
    content = _safetensors_table(path) if path.suffix == ".safetensors" else _torch_content(path)
    return infer_config(official_names(unwrap(content, Shape), _joined))


def _joined(shapes: list[Shape]) -> Shape:
    """The shape of tensors one after the other along the first axis."""
    if not all(shapes):
        raise CheckpointError("a weight of an attention is a single number; the file is damaged")
    return Shape((sum(shape[0] for shape in shapes), *shapes[0][1:]))


# -- safetensors ---------------------------------------------------------------------------------


def _safetensors_table(path: Path) -> Mapping[str, object]:
    """The format: 8 bytes of length, so much JSON, then the data without gaps."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, _LARGEST_TABLE):
            raise _no_safetensors(path, f"its header would have {length:,} bytes")
        text = file.read(length)
    try:
        table = json.loads(text)
        table.pop("__metadata__", None)
        end = max((int(entry["data_offsets"][1]) for entry in table.values()), default=0)
        shapes = {name: _shape(entry["shape"]) for name, entry in table.items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _no_safetensors(path, "its header is damaged") from error
    if 8 + length + end != size:
        raise _no_safetensors(path, f"it should have {8 + length + end:,} bytes, and has {size:,}")
    return shapes


def _shape(sides: object) -> Shape:
    """Raises ValueError for what is no shape."""
    if isinstance(sides, (list, tuple)) and all(type(n) is int and n >= 0 for n in sides):
        return Shape(sides)
    raise ValueError("not a shape")


def _no_safetensors(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is no whole safetensors file ({reason}); download or copy it again"
    )


# -- torch ---------------------------------------------------------------------------------------


def _torch_content(path: Path) -> Mapping[str, object]:
    try:
        pickled = _pickled(path)
        content = None if pickled is None else _Contents(io.BytesIO(pickled)).load()
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive or pickle may raise almost anything
        raise CheckpointError(
            f"{path.name} is damaged or holds more than tensors; download it again"
        ) from error
    if pickled is None:
        raise CheckpointError(
            f"{path.name} is in torch's old format, which tells nothing before it is loaded"
        )
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds no dict of tensors; save the state dict")
    return content


def _pickled(path: Path) -> bytes | None:
    """The archive's `data.pkl`; None where the file is no archive.

    Raises LookupError for an archive of something else, ValueError where it is too large.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        entries = [each for each in archive.infolist() if each.filename.endswith("/data.pkl")]
        if entries[0].file_size > _LARGEST_TABLE:
            raise ValueError("too large")
        return archive.read(entries[0])


def _rebuilt(name: str) -> Callable[..., object]:
    """What a function of torch's `_utils` gives of its arguments: the shape, where it is one.

    Made anew for each use: a pickle can set attributes of what it gets, and they go with it.
    """
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        return lambda _storage, _offset, size, *_: _shape(size)
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        return lambda data, *_: data
    return lambda *_: None


class _Contents(pickle._Unpickler):
    """Reads a pickle of tensors without making one: names of torch's stand for nothing but shapes.

    No other name is followed, so no code of the file runs. (The unpickler is the one in Python:
    that in C takes any number of gigabytes for a memo that a few bytes ask for.)
    """

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._tensor" and name == "_rebuild_from_type_v2":
            return lambda function, _kind, arguments, _state: function(*arguments)
        if module == "torch" or module.startswith("torch."):
            return _rebuilt(name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict")

    def persistent_load(self, pid: object) -> None:
        """The weights stay where they are."""
