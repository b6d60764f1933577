"""Everything that is decided before a tensor moves: strategy, bands, pieces, memory forecast.

Pure functions of integers: (config, image size, budget) -> `Plan`. The forecast counts live tensor
bytes, phase by phase as the engine runs them; the weights and the caller's input are not included.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .bands import WorkspaceSizes
from .config import Swin2SRConfig
from .costs import block_work, conv_reach, conv_work, head_work, stage_margin
from .errors import BudgetError, InputError
from .heads import HEADS
from .padding import round_up
from .tiles import Box, TileAxis, longest_piece
from .windows import MapRegion, axis_count

STRATEGIES = ("auto", "whole", "staged", "tiled")
BLENDS = ("gaussian", "cosine", "linear")
ELEMENT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Of the feature maps; int8 keeps everything between its products in float32."""

FP32_BYTES = 4
INDEX_BYTES = 4

_CACHE_BYTES = 768 << 10
"""Activations of a band on a CPU: with them, a block's temporaries still stay in L2 and L3."""

_GPU_BAND_WINDOWS = 1024
_CONV_SIDE = 128
_TILE = 384
_OVERLAP = 32
_TILE_SIDES = (768, 512, 384, 256, 192, 128, 96)
_STRIP_SIDE = 64
_CALL_WORK = 20_000_000
"""Floating-point operations that fit into the time of starting one band's or piece's calls."""

Terms = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PassPlan:
    """How one pass of the network over a height x width image is cut up.

    Sides are in LR pixels of this pass. `unified` tells that the compute device's memory is the
    host's (a CPU), where the output and the image count too. Region sides matter to *staged* only,
    tiles, their overlap and the `blend` of it to *tiled* only.
    """

    config: Swin2SRConfig
    height: int
    width: int
    precision: str
    strategy: str
    band_windows: int
    conv_side: int
    strip_side: int
    region_side: int
    unified: bool
    other_bytes: int = 0
    tile_side: int = 0
    overlap: int = 0
    blend: str = "gaussian"

    @property
    def padded_height(self) -> int:
        return round_up(self.height, self.config.window)

    @property
    def padded_width(self) -> int:
        return round_up(self.width, self.config.window)

    @property
    def bounds(self) -> Box:
        """The padded map."""
        return Box(0, 0, self.padded_height, self.padded_width)

    def regions(self) -> list[tuple[Box, MapRegion]]:
        """The pieces of the map a stage is run on, each with the region that it needs around it."""
        height, width = self.padded_height, self.padded_width
        return [
            (Box(y0, x0, y1, x1), MapRegion(top, left, rows, columns, height, width))
            for (y0, y1), (top, rows) in self._spans(height)
            for (x0, x1), (left, columns) in self._spans(width)
        ]

    @property
    def tile_rows(self) -> TileAxis:
        """The tiles from top to bottom."""
        window = self.config.window
        return TileAxis.cover(self.padded_height, self.tile_side, self.overlap, window)

    @property
    def tile_columns(self) -> TileAxis:
        """The tiles from left to right."""
        window = self.config.window
        return TileAxis.cover(self.padded_width, self.tile_side, self.overlap, window)

    @property
    def tile_plan(self) -> PassPlan:
        """How each tile is run: an image of its own, whose pictures are on the device."""
        return replace(
            self,
            strategy="whole",
            height=self.tile_rows.size,
            width=self.tile_columns.size,
            unified=True,
            other_bytes=0,
        )

    def _spans(self, full: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Along one axis: (start, end) of each piece, and (start, size) with its margin."""
        side = self.region_side if self.strategy == "staged" else full
        margin = stage_margin(self.config)
        ends = [(start, min(start + side, full)) for start in range(0, full, side)]
        return [(span, _with_margin(*span, full, margin)) for span in ends]

    @property
    def _largest_region(self) -> tuple[int, int]:
        """Height and width of the largest region; no region is higher or wider."""
        rows = max(size for _, (_, size) in self._spans(self.padded_height))
        return rows, max(size for _, (_, size) in self._spans(self.padded_width))

    # -- work, in floating-point operations ------------------------------------------------------

    @property
    def work(self) -> int:
        """What the engine will report as done at the end of this pass."""
        if self.strategy == "tiled":
            tiles = len(self.tile_rows.starts) * len(self.tile_columns.starts)
            return tiles * self.tile_plan.work
        config, area = self.config, self.bounds.area
        shifted = sum(depth // 2 for depth in config.depths)
        plain = sum(config.depths) - shifted
        pixels = plain * self._block_pixels(0) + shifted * self._block_pixels(config.shift)
        convs = len(config.depths) * conv_work(config) * area
        head = head_work(config) * self.height * self.width
        return pixels * block_work(config) + convs + head

    def _block_pixels(self, shift: int) -> int:
        """Pixels in the windows of all regions in one block, context included."""
        window = self.config.window
        rows, columns = (
            sum(axis_count(size, full, window, shift) for _, (_, size) in self._spans(full))
            for full in (self.padded_height, self.padded_width)
        )
        return rows * columns * window**2

    @property
    def cost(self) -> int:
        """`work`, and what the cutting itself costs: context computed twice, and calls."""
        margin = 2 * (HEADS[self.config.head].reach + conv_reach(self.config))
        again = (self.strip_side + margin) ** 2 / self.strip_side**2 - 1
        again_conv = (self.conv_side + 2) ** 2 / self.conv_side**2 - 1
        area, stages = self.bounds.area, len(self.config.depths)
        extra = area * head_work(self.config) * again
        extra += area * stages * conv_work(self.config) * again_conv
        bands = sum(self.config.depths) * area / (self.band_windows * self.config.window**2)
        pieces = area / self.strip_side**2 + stages * area / self.conv_side**2
        return self.work + int(extra + (bands + pieces) * _CALL_WORK)

    # -- memory ----------------------------------------------------------------------------------

    @property
    def forecast(self) -> Terms:
        """What is live on the compute device at its fullest moment, by term, in bytes."""
        if self.strategy == "tiled":
            tile = tuple((f"tile: {name}", size) for name, size in self.tile_plan.forecast)
            return (*self._resident(), *tile)
        return max((self._body_terms(), self._head_terms()), key=_total)

    @property
    def forecast_bytes(self) -> int:
        return _total(self.forecast)

    @property
    def host_bytes(self) -> int:
        """The most that is live in host memory besides what the compute device holds."""
        return max(self._host_bytes(2), self._host_bytes(1))

    @property
    def total_bytes(self) -> int:
        """The most that is live on the device and the host together."""
        if self.strategy == "tiled":
            return self.forecast_bytes + self.host_bytes
        body = _total(self._body_terms()) + self._host_bytes(2)
        return max(body, _total(self._head_terms()) + self._host_bytes(1))

    def _host_bytes(self, maps: int) -> int:
        """*staged* has two maps in the host's memory, and one when only the head is left."""
        staged = maps * self._map_bytes if self.strategy == "staged" else 0
        return staged + (0 if self.unified else _total(self._picture_terms()))

    @property
    def _map_bytes(self) -> int:
        return self.bounds.area * self.config.embed_dim * ELEMENT_BYTES[self.precision]

    def _picture_terms(self) -> Terms:
        channels, scale = self.config.in_channels, self.config.scale
        output = self.height * self.width * channels * scale**2 * FP32_BYTES
        return (("pictures", output + self.bounds.area * channels * FP32_BYTES + self.other_bytes),)

    def _resident(self) -> Terms:
        return self._picture_terms() if self.unified else ()

    def _body_terms(self) -> Terms:
        size = ELEMENT_BYTES[self.precision]
        height, width = self._largest_region
        largest = height * width
        reach = conv_reach(self.config)
        rows = longest_piece(height, self.conv_side, reach, height)
        columns = longest_piece(width, self.conv_side, reach, width)
        conv = rows * columns
        if self.conv_side < width:  # the piece before is still there while the next one is made
            conv += rows * min(columns, width - self.conv_side + reach)
        elif self.conv_side < height:
            conv += columns * min(rows, height - self.conv_side + reach)
        conv *= self.config.embed_dim * size
        sizes = WorkspaceSizes.of(self.config, self.band_windows, self.precision)
        windows = min(self.band_windows, largest // self.config.window**2)
        layers = WorkspaceSizes.of(self.config, windows, self.precision).layers
        return (
            *self._resident(),
            ("feature maps", 2 * largest * self.config.embed_dim * size),
            ("window indices", 2 * largest * INDEX_BYTES),
            ("band", sizes.kept * size),
            ("layers and convolutions", max(conv, layers * size)),
        )

    def _head_terms(self) -> Terms:
        config, size = self.config, ELEMENT_BYTES[self.precision]
        reach = HEADS[config.head].reach + conv_reach(config)
        rows = longest_piece(self.height, self.strip_side, reach, self.padded_height)
        context = rows * longest_piece(self.width, self.strip_side, reach, self.padded_width)
        image = 0 if self.unified else config.in_channels * FP32_BYTES
        features = config.embed_dim * size
        peak = max(HEADS[config.head].peak(config, size), config.embed_dim * FP32_BYTES)
        maps = self._map_bytes if self.strategy == "whole" else 0
        return (
            *self._resident(),
            ("feature maps", maps),
            ("head", context * (features + image + peak)),
        )

    def smaller(self) -> PassPlan | None:
        """The same strategy with smaller bands and pieces; None when they are the smallest."""
        window = self.config.window
        least = replace(self, band_windows=1, conv_side=window, strip_side=window)
        if self == least:
            return None
        return replace(
            self,
            band_windows=max(1, self.band_windows // 2),
            conv_side=max(window, self.conv_side // 2),
            strip_side=max(window, self.strip_side // 2),
        )


def _with_margin(start: int, end: int, full: int, margin: int) -> tuple[int, int]:
    """Start and size of a span with `margin` on both sides, or of the whole axis if no more."""
    size = end - start + 2 * margin
    return (0, full) if size >= full else (start - margin, size)


def _total(terms: Terms) -> int:
    return sum(size for _, size in terms)


@dataclass(frozen=True)
class Plan:
    """All that is decided about upscaling one image; `passes` are run one after the other.

    `scale` is what the caller asked for; the passes make `network_scale` of it, and a difference is
    reduced with antialiasing. Every frame of a batch runs the same plan.
    """

    passes: tuple[PassPlan, ...]
    scale: float
    output_height: int
    output_width: int
    budget_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def strategy(self) -> str:
        return self.passes[-1].strategy

    @property
    def precision(self) -> str:
        return self.passes[-1].precision

    @property
    def fullest(self) -> PassPlan:
        """The pass with the highest forecast."""
        return max(self.passes, key=lambda each: each.forecast_bytes)

    @property
    def forecast(self) -> dict[str, int]:
        """Bytes on the compute device at the fullest moment, by term."""
        return dict(self.fullest.forecast)

    @property
    def forecast_bytes(self) -> int:
        """Peak live tensor bytes on the compute device, weights and input not included."""
        return self.fullest.forecast_bytes

    @property
    def host_bytes(self) -> int:
        """Peak bytes in host memory that `forecast_bytes` does not contain."""
        return max(each.host_bytes for each in self.passes)

    @property
    def work(self) -> int:
        """Floating-point operations of all passes."""
        return sum(each.work for each in self.passes)

    def to_dict(self) -> dict[str, object]:
        """For JSON: plain numbers and strings."""
        return {
            "strategy": self.strategy,
            "precision": self.precision,
            "scale": self.scale,
            "output_size": [self.output_width, self.output_height],
            "forecast_bytes": self.forecast_bytes,
            "host_bytes": self.host_bytes,
            "forecast": self.forecast,
            "work_gflop": round(self.work / 1e9, 3),
            "notes": list(self.notes),
            "passes": [
                {
                    "input_size": [each.width, each.height],
                    "scale": each.config.scale,
                    "strategy": each.strategy,
                    "band_windows": each.band_windows,
                    "conv_side": each.conv_side,
                    "strip_side": each.strip_side,
                    "region_side": each.region_side if each.strategy == "staged" else None,
                    "tile_side": each.tile_side if each.strategy == "tiled" else None,
                    "overlap": each.overlap if each.strategy == "tiled" else None,
                    "forecast_bytes": each.forecast_bytes,
                    "work_gflop": round(each.work / 1e9, 3),
                }
                for each in self.passes
            ],
        }

    def __str__(self) -> str:
        lines = [
            f"{self.passes[0].width}x{self.passes[0].height} -> "
            f"{self.output_width}x{self.output_height} in {len(self.passes)} pass(es), "
            f"{self.precision}, {self.work / 1e12:.2f} TFLOP"
        ]
        for number, each in enumerate(self.passes, 1):
            region = {
                "staged": f", regions of {each.region_side} px",
                "tiled": f", tiles of {each.tile_side} px that overlap by {each.overlap}",
            }.get(each.strategy, "")
            lines.append(
                f"  pass {number}: {each.strategy}, bands of {each.band_windows} windows, "
                f"pieces of {each.conv_side} px, head pieces of {each.strip_side} px{region}"
            )
        lines.append("  memory at the fullest moment:")
        lines += [f"    {name:<16}{format_bytes(size):>10}" for name, size in self.forecast.items()]
        lines.append(f"    {'all':<16}{format_bytes(self.forecast_bytes):>10}")
        if self.host_bytes:
            lines.append(f"  and in host memory{format_bytes(self.host_bytes):>12}")
        if self.budget_bytes is not None:
            lines.append(f"  budget            {format_bytes(self.budget_bytes):>12}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def plan_upscale(
    config: Swin2SRConfig,
    height: int,
    width: int,
    scale: float | None = None,
    precision: str = "fp32",
    budget_bytes: int | None = None,
    strategy: str = "auto",
    device_type: str = "cpu",
    batch: int = 1,
    tile: int = 0,
    overlap: int | None = None,
    blend: str = "gaussian",
) -> Plan:
    """The fastest plan for one height x width image that fits into `budget_bytes` (None: any).

    `scale` is the whole enlargement (None: x4, or x1 for restoration networks). On a CPU the budget
    covers all that is live, pictures and host maps included; elsewhere what is on the device.
    `auto` prefers the exact strategies and tiles only what fits in no other way. `tile` and
    `overlap` (LR pixels, 0 or None: chosen) are for *tiled* and are rounded to the window, with a
    note.
    `blend` is gaussian, cosine or linear. Raises `InputError` for impossible values and
    `BudgetError`, naming the smallest budget that works, when nothing fits.
    """
    if height < 1 or width < 1:
        raise InputError(f"an image has at least 1x1 pixels, got {width}x{height}")
    if precision not in ELEMENT_BYTES:
        raise InputError(
            f"precision must be one of {', '.join(ELEMENT_BYTES)} here, got {precision}"
        )
    if strategy not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy}")
    scale = (4 if config.scale > 1 else 1) if scale is None else scale
    count = pass_count(config, scale)
    output = output_size(height, width, scale)
    tile, overlap, notes = _rounded_tile(config, tile, overlap)
    if blend not in BLENDS:
        raise InputError(f"blend must be one of {', '.join(BLENDS)}, got {blend}")
    passes = []
    unified = device_type == "cpu"
    final = output[0] * output[1] * config.in_channels * FP32_BYTES
    for index in range(count):
        grown = config.scale**index
        last_size = (height * grown * config.scale, width * grown * config.scale)
        # Pictures that live beside this pass: the batch's output, and what the pass before made.
        # The last pass writes straight into the output unless it is to be reduced.
        direct = index == count - 1 and last_size == output
        before = height * width * grown**2 * config.in_channels * FP32_BYTES if index else 0
        others = final * batch - (final if direct else 0) + before
        passes.append(
            _plan_pass(
                PassPlan(
                    config=config,
                    height=height * grown,
                    width=width * grown,
                    precision=precision,
                    strategy="whole",
                    band_windows=_band_windows(config, precision, device_type),
                    conv_side=_CONV_SIDE,
                    strip_side=_STRIP_SIDE if unified else 2 * _STRIP_SIDE,
                    region_side=0,
                    unified=unified,
                    other_bytes=others,
                    tile_side=tile,
                    overlap=overlap,
                    blend=blend,
                ),
                budget_bytes,
                strategy,
            )
        )
    return Plan(tuple(passes), scale, *output, budget_bytes, notes)


def pass_count(config: Swin2SRConfig, scale: float) -> int:
    """How often the network is applied: until its scale to that power reaches `scale`."""
    if not 0 < scale <= 64:
        raise InputError(f"scale must be over 0 and at most 64, got {scale:g}")
    if config.scale == 1:
        if scale > 1:
            raise InputError(
                f"this checkpoint restores at x1 and can't enlarge to x{scale:g}; use --scale 1 or "
                "another model"
            )
        return 1
    return max(1, math.ceil(math.log(scale, config.scale) - 1e-9))


def output_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Output height and width: rounded to the nearest pixel, at least one."""
    return max(1, round(height * scale)), max(1, round(width * scale))


def _rounded_tile(
    config: Swin2SRConfig, tile: int, overlap: int | None
) -> tuple[int, int, tuple[str, ...]]:
    """Tile side (0: the planner's choice) and overlap on the window grid, with notes on changes."""
    window = config.window
    asked = overlap
    overlap = round_up(_OVERLAP if overlap is None else overlap, window)
    if tile < 0 or overlap < 0:
        raise InputError(f"tile and overlap can't be negative, got {tile} and {asked}")
    notes = []
    if asked is not None and asked != overlap:
        notes.append(f"overlap {asked} became {overlap}, a multiple of the window ({window})")
    if tile == 0:
        return 0, overlap, tuple(notes)
    rounded = max(round_up(tile, window), overlap + 2 * window)
    if rounded != tile:
        notes.append(
            f"tile {tile} became {rounded}: a multiple of the window ({window}) that leaves room "
            f"beside an overlap of {overlap}"
        )
    return rounded, overlap, tuple(notes)


def _plan_pass(first: PassPlan, budget: int | None, strategy: str) -> PassPlan:
    """The cheapest candidate that fits; exact ones before tiled ones."""
    candidates = sorted(
        pass_candidates(first, strategy), key=lambda each: (each.strategy == "tiled", each.cost)
    )
    if budget is None:
        return candidates[0]
    for each in candidates:
        if charged_bytes(each) <= budget:
            return each
    least = min(charged_bytes(each) for each in candidates)
    raise BudgetError(
        f"{first.width}x{first.height} in {first.precision} does not fit into "
        f"{format_bytes(budget)}; the smallest budget that works is {format_bytes(least, up=True)}"
    )


def charged_bytes(plan: PassPlan) -> int:
    """The bytes of a pass that its budget has to cover."""
    return plan.total_bytes if plan.unified else plan.forecast_bytes


def pass_candidates(first: PassPlan, strategy: str = "auto") -> Iterator[PassPlan]:
    """Every way to run a pass that the planner considers."""
    if strategy in ("auto", "whole"):
        yield from _shrinking(first)
    if strategy in ("auto", "staged"):
        window = first.config.window
        longest = max(first.padded_height, first.padded_width)
        for windows in (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
            side = windows * window
            if side < longest or windows == 1:
                yield from _shrinking(replace(first, strategy="staged", region_side=side))
    if strategy in ("auto", "tiled"):
        least = first.overlap + 2 * first.config.window
        chosen = (_TILE if strategy == "tiled" else 0, *_TILE_SIDES, least)
        for side in (first.tile_side,) if first.tile_side else chosen:
            if side >= least:
                side = round_up(side, first.config.window)
                yield from _shrinking(replace(first, strategy="tiled", tile_side=side))


def _shrinking(plan: PassPlan | None) -> Iterator[PassPlan]:
    while plan is not None:
        yield plan
        plan = plan.smaller()


def _band_windows(config: Swin2SRConfig, precision: str, device_type: str) -> int:
    """Windows per band when memory is no matter: what the caches of a CPU hold, or fills a GPU."""
    if device_type != "cpu":
        return _GPU_BAND_WINDOWS
    window_bytes = config.window**2 * config.embed_dim * ELEMENT_BYTES[precision]
    return max(1, _CACHE_BYTES // window_bytes)


def format_bytes(size: int, up: bool = False) -> str:
    """1.25 GB, 340 MB, 12 KB: three digits in powers of 1024; `up` rounds up instead of nearest."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            digits = 2 if size < 10 * unit else 1 if size < 100 * unit else 0
            value = size / unit
            value = math.ceil(value * 10**digits) / 10**digits if up else value
            return f"{value:.{digits}f} {name}"
    return f"{size} B"
