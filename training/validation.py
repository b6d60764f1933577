"""PSNR and SSIM of the weights as they would ship, on a folder of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from swin2sr_core.models.model import build_model
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_headless.cli.evaluation import Score, evaluate, find_pairs, mean

from .config import Validation


class Validator:
    """Measures weights as `swin2sr evaluate` does; without `hr` it has no pairs."""

    def __init__(self, where: Validation, scale: int) -> None:
        self.scale = scale
        self.pairs = find_pairs(where.hr, where.lr or None, scale) if where.hr else []

    def score(self, config: Swin2SRConfig, weights: dict[str, Tensor], device: str) -> Score:
        """The means of these weights (official names) in fp32."""
        model = build_model("validated", config, weights, "fp32", torch.device(device))
        return mean([evaluate(model, pair, self.scale, lambda: False) for pair in self.pairs])
