"""The words and limits that users choose with, once for the whole project."""

from __future__ import annotations

from typing import Literal, get_args

Strategy = Literal["auto", "whole", "staged", "tiled"]
Blend = Literal["gaussian", "cosine", "linear"]
Edge = Literal["reflect", "wrap"]
Engine = Literal["torch", "onnxruntime"]
Provider = Literal["cuda", "tensorrt", "directml", "openvino", "coreml", "rocm", "cpu"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
BLENDS: tuple[Blend, ...] = get_args(Blend)
EDGES: tuple[Edge, ...] = get_args(Edge)
ENGINES: tuple[Engine, ...] = get_args(Engine)
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
"""What runs exported files, the preferred first."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

MAX_SCALE = 64
MAX_MEGAPIXELS = 1024
"""Of a whole enlargement; what lies beyond is a slip of the finger."""

MAX_SHARPEN = 0.5
"""Steeper than that, noise is all that is left."""
