"""A face restorer that ComfyUI has loaded as an upscale model, run within memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from ..swin2sr_core.errors import InputError
from ..swin2sr_core.faces.alignment import SIDE
from ..swin2sr_core.machine.devices import has_native_bf16
from . import host

logger = logging.getLogger(__name__)

HALF_BYTES, FULL_BYTES = 900 << 20, 1400 << 20
"""Working memory for one face in mixed precision and in fp32, besides the weights.

Twice what the live tensors of GFPGAN (432 and 541 MB) and RestoreFormer (348 and 692 MB) take.
"""

MOST_BYTES = int(6.1 * 2**30)
"""What GPEN is published to take in fp32, all told: the second attempt gets that much, if it can be
had (4.3 GB in fp16)."""

_NO_MEMORY = re.compile(r"out of memory|not enough memory|could not allocate", re.IGNORECASE)


class FaceRestorer:
    """An aligned face, 1 x 3 x 512 x 512 in 0..1, to the same restored, on the face's device.

    In inference mode, and in mixed precision where model and device have one: half the memory.
    Where that is not finite it is done again in fp32, and where the device's memory does not
    suffice, on the CPU. Raises InputError for what is no model for such faces.
    """

    def __init__(self, model: object) -> None:
        module = getattr(model, "model", None)
        if not isinstance(module, nn.Module) or not callable(model):
            raise InputError.saying(
                "restorer_kind",
                "restorer is a {kind}, expected a face model (GFPGAN, RestoreFormer, ...) from "
                "Load Upscale Model",
                kind=type(model).__name__,
            )
        architecture = getattr(getattr(model, "architecture", None), "id", "")
        call = partial(_gfpgan, module) if architecture == "GFPGAN" else model
        self._call = cast("Callable[[Tensor], Tensor]", call)
        self._module = module
        self._move: Callable[[torch.device], object] = getattr(model, "to", module.to)
        self._half = bool(getattr(model, "supports_half", False))
        self._bfloat16 = bool(getattr(model, "supports_bfloat16", False))
        self._device = host.compute_device()

    @contextmanager
    def loaded(self) -> Iterator[FaceRestorer]:
        """The model on the compute device, with room to work; afterwards where it was."""
        before = next(self._module.parameters(), torch.zeros(0)).device
        working = FULL_BYTES if self.precision is None else HALF_BYTES
        host.make_room(working + _weight_bytes(self._module), self._device)
        try:
            self._move(self._device)
            yield self
        finally:
            self._move(before)

    @property
    def precision(self) -> torch.dtype | None:
        """The narrow type of mixed precision; None for fp32 alone."""
        if self._half and self._device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if self._bfloat16 and has_native_bf16(self._device) else None

    def __call__(self, face: Tensor) -> Tensor:
        host.raise_if_interrupted()
        result = self._on_device(face)
        if result is None:
            host.make_room(MOST_BYTES, self._device)
            result = self._on_device(face)
        if result is None:
            logger.warning("not enough memory for the restorer on %s: using the CPU", self._device)
            self._device = torch.device("cpu")
            self._move(self._device)
            result = self._run(face, None)
        if tuple(result.shape) != (1, 3, SIDE, SIDE):
            raise InputError.saying(
                "restorer_size",
                "the restorer makes {found} of a face of 1 x 3 x {side} x {side}, expected the "
                "same size; wire a face model such as GFPGAN",
                found=" x ".join(str(n) for n in result.shape),
                side=SIDE,
            )
        return result.to(face.device, torch.float32)

    def _on_device(self, face: Tensor) -> Tensor | None:
        """None where the device's memory does not suffice: nothing of the attempt is kept."""
        try:
            result = self._run(face, self.precision)
            if self.precision is not None and not bool(torch.isfinite(result).all()):
                logger.warning("the restorer was not finite in %s: using fp32", self.precision)
                result = self._run(face, None)
        except (RuntimeError, MemoryError) as error:
            if self._device.type == "cpu" or not _NO_MEMORY.search(str(error)):
                raise
            return None
        return result

    @torch.inference_mode()
    def _run(self, face: Tensor, dtype: torch.dtype | None) -> Tensor:
        enabled = dtype is not None
        with torch.autocast(self._device.type, dtype=dtype or torch.bfloat16, enabled=enabled):
            return self._call(face.to(self._device, torch.float32)).float()


def _gfpgan(module: nn.Module, face: Tensor) -> Tensor:
    """spandrel hands GFPGAN the picture as it comes, 0..1; it was trained with -1..1.

    Its noise is that of the weights' file, so that the same face gives the same result.
    """
    restored, _ = module(face * 2 - 1, return_rgb=False, randomize_noise=False)
    return ((restored + 1) / 2).clamp(0, 1)


def _weight_bytes(module: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())
