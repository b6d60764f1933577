"""Everything that is decided before a tensor moves: strategy, bands, pieces, memory forecast.

Pure functions of integers: (request, budget) -> `Plan`. Nothing here asks the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import BudgetError
from ..network.config import Swin2SRConfig
from ..sentences import sentence
from ..units import format_bytes
from .candidates import fastest_pass, fastest_that_fits, pass_candidates
from .forecast import FP32_BYTES
from .pass_plan import PassPlan
from .request import PlanRequest
from .strategies import Staged, Tiled, Whole

_TILED_FILE = sentence(
    "tiled_file", "an exported file runs in tiles: near the whole network's result, not exactly it"
)


@dataclass(frozen=True)
class Plan:
    """All that is decided about upscaling one image; `passes` are run one after the other.

    The passes may make more than the `scale` that was asked for; the difference is reduced with
    antialiasing. Every frame of a batch runs the same plan. `notes` tell what was changed of what
    was asked.
    """

    passes: tuple[PassPlan, ...]
    request: PlanRequest
    budget_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        return self.request.whole_scale

    @property
    def output_height(self) -> int:
        return self.request.output_size[0]

    @property
    def output_width(self) -> int:
        return self.request.output_size[1]

    @property
    def asked_strategy(self) -> str:
        """What the caller asked for."""
        return self.request.strategy

    @property
    def strategy(self) -> str:
        return self.passes[-1].strategy

    @property
    def way(self) -> str:
        """The strategy as timings know it: exported files take a time of their own."""
        return f"{self.strategy}, exported" if self.request.exported else self.strategy

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
    def total_bytes(self) -> int:
        """Peak bytes on the device and in host memory together."""
        return max(each.total_bytes for each in self.passes)

    @property
    def work(self) -> int:
        """Floating-point operations of all passes."""
        return sum(each.work for each in self.passes)

    @property
    def cost(self) -> int:
        """`work`, and what cutting the picture up costs: what plans are compared by."""
        return sum(each.cost for each in self.passes)

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
                    "strip_side": each.head_side,
                    "region_side": each.region_side if isinstance(each, Staged) else None,
                    "tile_side": each.tile_side if isinstance(each, Tiled) else None,
                    "overlap": each.overlap if isinstance(each, Tiled) else None,
                    "forecast_bytes": each.forecast_bytes,
                    "work_gflop": round(each.work / 1e9, 3),
                }
                for each in self.passes
            ],
        }

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """The table that people read, line by line."""
        passes = (_pass_line(number, each) for number, each in enumerate(self.passes, 1))
        terms = {**self.forecast, sentence("term_all", "all"): self.forecast_bytes}
        lines = [self._first_line, *passes]
        lines.append(sentence("plan_fullest", "  memory at the fullest moment:"))
        lines += [_term_line(name, size) for name, size in terms.items()]
        if self.host_bytes:
            size = format_bytes(self.host_bytes)
            lines.append(sentence("plan_host", "  and in host memory{size:>12}", size=size))
        if self.budget_bytes is not None:
            size = format_bytes(self.budget_bytes)
            lines.append(sentence("plan_budget", "  budget            {size:>12}", size=size))
        return lines + [sentence("plan_note", "  note: {note}", note=note) for note in self.notes]

    @property
    def _first_line(self) -> str:
        return sentence(
            "plan_sizes",
            "{width}x{height} -> {output_width}x{output_height} in {passes} pass(es), "
            "{precision}, {work:.2f} TFLOP",
            width=self.passes[0].width,
            height=self.passes[0].height,
            output_width=self.output_width,
            output_height=self.output_height,
            passes=len(self.passes),
            precision=self.precision,
            work=self.work / 1e12,
        )


def _pass_line(number: int, plan: PassPlan) -> str:
    cut = sentence("plan_cut", ", {pieces}", pieces=_cut(plan)) if plan.pieces else ""
    return sentence(
        "plan_pass",
        "  pass {number}: {strategy}, bands of {windows} windows, pieces of {conv_side} px, head "
        "pieces of {head_side} px{cut}",
        number=number,
        strategy=plan.strategy,
        windows=plan.band_windows,
        conv_side=plan.conv_side,
        head_side=plan.head_side,
        cut=cut,
    )


def _term_line(name: str, size: int) -> str:
    return sentence("plan_term", "    {name:<16}{size:>10}", name=name, size=format_bytes(size))


def _cut(plan: PassPlan) -> str:
    if isinstance(plan, Tiled):
        return sentence(
            "tiles_overlapping",
            "tiles of {side} px that overlap by {overlap}",
            side=plan.tile_side,
            overlap=plan.overlap,
        )
    return plan.pieces


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
    native_bf16: bool = False,
    kernel_threads: int = 0,
    streamed: int | None = None,
) -> Plan:
    """The fastest plan for one height x width image that fits into `budget_bytes` (None: any).

    See `PlanRequest` for the arguments, and `fitted` for what it raises.
    """
    request = PlanRequest(
        config=config,
        height=height,
        width=width,
        scale=scale,
        precision=precision,
        strategy=strategy,
        device_type=device_type,
        batch=batch,
        tile=tile,
        overlap=overlap,
        blend=blend,
        native_bf16=native_bf16,
        kernel_threads=kernel_threads,
        streamed=streamed,
    )
    return fitted(request, budget_bytes)


def fitted(
    request: PlanRequest, budget_bytes: int | None = None, host_bytes: int | None = None
) -> Plan:
    """The fastest plan that fits into `budget_bytes` and, on the host, `host_bytes` (None: any).

    On a CPU the budget covers all that is live, pictures and host maps included; elsewhere what is
    on the device. `auto` prefers the exact strategies and tiles only what fits in no other way.
    Raises `BudgetError`, naming the smallest budget that works, when nothing fits.
    """
    tiling, notes = request.tiling
    firsts = list(_fastest_passes(request))
    taken = [
        fastest_that_fits(
            pass_candidates(first, request.strategy, tiling), budget_bytes, host_bytes
        )
        for first in firsts
    ]
    passes = tuple(each for each in taken if each is not None)
    if len(passes) < len(firsts):
        raise _no_plan(firsts, request, budget_bytes, host_bytes)
    if any(isinstance(each, Tiled) and each.exported and each.tile_count > 1 for each in passes):
        notes = (*notes, _TILED_FILE)
    return Plan(passes, request, budget_bytes, notes)


def _fastest_passes(request: PlanRequest) -> Iterator[Whole]:
    """Each pass in its fastest way, knowing the pictures that live beside it.

    These are the batch's output, and what the pass before made. The last pass writes straight into
    the output unless it is to be reduced. Of a streamed result there is only what its encoder
    keeps, and the caller's picture, which nobody else counts then.
    """
    config, output = request.config, request.output_size
    pixel_bytes = config.in_channels * FP32_BYTES
    final = output[0] * output[1] * pixel_bytes
    read = request.height * request.width * pixel_bytes
    kept = output[0] * output[1] * (request.streamed or 0)
    for index in range(request.passes):
        height, width = (side * config.scale**index for side in (request.height, request.width))
        made = (height * config.scale, width * config.scale)
        direct = index == request.passes - 1 and made == output
        before = height * width * pixel_bytes if index else 0
        narrow = request.precision == "int8" and request.native_bf16
        computed_in = "bf16" if narrow else request.precision
        first = fastest_pass(config, height, width, computed_in, request.unified)
        if request.streamed is None:
            others = final * request.batch - (final if direct else 0) + before
        else:
            others = read + kept + before
        streamed = request.streamed is not None and index == request.passes - 1
        yield replace(
            first,
            precision=request.precision,
            other_bytes=others,
            int8_in_bf16=narrow,
            kernel_threads=request.kernel_threads,
            exported=request.exported,
            streamed=streamed,
            resident=request.resident,
        )


def _no_plan(
    firsts: list[Whole], request: PlanRequest, budget: int | None, host: int | None
) -> BudgetError:
    """The error that names the smallest budget into which every pass fits."""
    tiling, _ = request.tiling
    least = on_host = 0
    for first in firsts:
        candidates = list(pass_candidates(first, request.strategy, tiling))
        held = min(each.host_bytes for each in candidates)
        on_host = max(on_host, held)
        allowed = max(held, host or 0)
        charged = (e.charged_bytes for e in candidates if host is None or e.host_bytes <= allowed)
        least = max(least, min(charged))
    if host is not None and on_host > host:
        return BudgetError.saying(
            "pictures_on_host",
            "the pictures of {width}x{height} take {size} in the computer's memory, and "
            "{room} may be taken there; close other programs, or upscale a smaller picture",
            width=request.width,
            height=request.height,
            size=format_bytes(on_host),
            room=format_bytes(host),
        )
    return BudgetError(
        sentence(
            "no_plan",
            "{width}x{height} in {precision} does not fit into {budget}; the smallest "
            "budget that works is {least}",
            width=request.width,
            height=request.height,
            precision=request.precision,
            budget=format_bytes(budget or 0),
            least=format_bytes(least, up=True),
        ),
        least,
    )
