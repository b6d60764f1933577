"""What is asked of an upscale, as one value: the network, the picture, and how to run it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from ..network.config import Swin2SRConfig
from .choices import BLENDS, MAX_SCALE, STRATEGIES
from .forecast import ELEMENT_BYTES
from .tiles import Tiling


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """One height x width picture for one network. Raises InputError for impossible values.

    `scale` is the whole enlargement (None: x4, or x1 for restoration networks). `tile` and
    `overlap` (LR pixels; 0 and None: chosen) are for *tiled* and are rounded to the window; `blend`
    is gaussian, cosine or linear. `batch` is how many pictures of this size are results at once.
    `streamed`: the result leaves row by row to an encoder that keeps so many bytes per pixel of it
    (0: none); None: it is handed over whole. `device_type` ("cpu", "cuda", ...) and `native_bf16`
    tell what the machine has; `kernel_threads` how many threads a compiled kernel runs the blocks
    on, 0 for PyTorch. `exported`: the network is a file that another runtime runs, in tiles.
    `resident`: pictures are kept in the compute device's memory, not in the host's.
    """

    config: Swin2SRConfig
    height: int
    width: int
    scale: float | None = None
    precision: str = "fp32"
    strategy: str = "auto"
    tile: int = 0
    overlap: int | None = None
    blend: str = "gaussian"
    batch: int = 1
    streamed: int | None = None
    device_type: str = "cpu"
    native_bf16: bool = False
    kernel_threads: int = 0
    exported: bool = False
    resident: bool = False

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InputError(f"an image has at least 1x1 pixels, got {self.width}x{self.height}")
        for name, value, known in (
            ("precision", self.precision, tuple(ELEMENT_BYTES)),
            ("strategy", self.strategy, STRATEGIES),
            ("blend", self.blend, BLENDS),
        ):
            if value not in known:
                here = " here" if name == "precision" else ""
                raise InputError(f"{name} must be one of {', '.join(known)}{here}, got {value}")
        if self.exported and self.strategy in ("whole", "staged"):
            raise InputError.saying(
                "exported_strategy",
                "an exported file runs in tiles alone, not {strategy}; use --strategy tiled, "
                "or the checkpoint that it came from",
                strategy=self.strategy,
            )
        pass_count(self.config, self.whole_scale)
        _ = self.tiling

    @property
    def unified(self) -> bool:
        """Whether the compute device's memory is the host's."""
        return self.device_type == "cpu"

    @property
    def whole_scale(self) -> float:
        """The enlargement, decided."""
        return usual_scale(self.config.scale) if self.scale is None else self.scale

    @property
    def passes(self) -> int:
        """How often the network is applied."""
        return pass_count(self.config, self.whole_scale)

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the result."""
        return output_size(self.height, self.width, self.whole_scale)

    @property
    def tiling(self) -> tuple[Tiling, tuple[str, ...]]:
        """The tiles that were asked for, on the window grid, and notes on what has changed."""
        return Tiling.on_grid(self.config.window, self.tile, self.overlap, self.blend)


def usual_scale(network_scale: int) -> float:
    """The whole enlargement where none is asked for: x4, or x1 for restoration networks."""
    return 4 if network_scale > 1 else 1


def pass_count(config: Swin2SRConfig, scale: float) -> int:
    """How often the network is applied: until its scale to that power reaches `scale`."""
    if not 0 < scale <= MAX_SCALE:
        raise InputError.saying(
            "scale_limit",
            "scale must be over 0 and at most {most}, got {scale:g}",
            most=MAX_SCALE,
            scale=scale,
        )
    if config.scale == 1:
        if scale > 1:
            raise InputError.saying(
                "restores_only",
                "this checkpoint restores at x1 and can't enlarge to x{scale:g}; use --scale 1 "
                "or another model",
                scale=scale,
            )
        return 1
    return max(1, math.ceil(math.log(scale, config.scale) - 1e-9))


def output_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Output height and width: rounded to the nearest pixel, at least one."""
    return max(1, round(height * scale)), max(1, round(width * scale))
