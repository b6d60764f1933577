"""Tensors from what the reader has checked: torch is given bytes and numbers, and no file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import CheckpointError, harmless
from .names import unwrap
from .pickles import Entry, Storage
from .reader import Contents


def build(contents: Contents, wanted: Mapping[str, Entry]) -> dict[str, Tensor]:
    """The tensors of `wanted`, which are some of the contents', while the file is open.

    Raises CheckpointError where the file is shorter than it says.
    """
    if contents.fetch is None:
        return _mapped(contents, wanted)
    whole: dict[Storage, Tensor] = {}
    for entry in wanted.values():
        storage = entry.storage
        if storage is not None and storage not in whole:
            whole[storage] = _flat(contents.fetch(storage))
    return {name: _view(entry, whole) for name, entry in wanted.items()}


def bytes_behind(entries: Mapping[str, Entry]) -> int:
    """Bytes of the storages that these tensors are views of, each counted once."""
    storages = {e.storage for e in entries.values() if e.storage is not None}
    return sum(storage.size for storage in storages)


def _flat(content: bytearray) -> Tensor:
    if not content:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8)


def _view(entry: Entry, whole: Mapping[Storage, Tensor]) -> Tensor:
    if entry.storage is None:
        raise CheckpointError("a tensor without data; save the network's state dict")
    dtype = getattr(torch, entry.dtype)
    if 0 in entry.shape:
        return torch.empty(entry.shape, dtype=dtype)
    flat = whole[entry.storage]
    elements = flat[: len(flat) // dtype.itemsize * dtype.itemsize].view(dtype)
    return torch.as_strided(elements, entry.shape, entry.strides, entry.offset)


def _mapped(contents: Contents, wanted: Mapping[str, Entry]) -> dict[str, Tensor]:
    path = contents.path
    try:
        tensors = unwrap(dict(load_file(str(path))), Tensor)
        return {name: tensors[name] for name in wanted}
    except (SafetensorError, OSError, ValueError, LookupError) as error:
        reason = harmless(error, 200)
        raise CheckpointError.saying(
            "safetensors_broken",
            "{name} is no whole safetensors file ({reason}); download or copy it again",
            name=path.name,
            reason=reason,
        ) from error
