"""The phases of a pass, and the tensors that are live in each: what a forecast adds up.

The weights and the caller's input are not included, but a kernel's own copy of weights is. Every
function is arithmetic on a `PassPlan`; `maps` is how many bytes of feature maps stay on the compute
device meanwhile.
"""

from __future__ import annotations

from functools import partial

from ..network.head_costs import HEAD_COSTS
from ..sentences import sentence
from .costs import conv_reach
from .pass_plan import PassPlan, Terms
from .tiles import longest_piece
from .workspace import WorkspaceSizes, kernels_convolve, packed_bytes, scratch_bytes

ELEMENT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Of the feature maps; where int8 is computed in, everything between its products is float32."""

_EXPORTED_LOGITS, _EXPORTED_MAPS = 1.5, 21
"""Per pixel that another runtime keeps: logits, and maps of the network's channels."""

FP32_BYTES = 4
_PICTURES = sentence("term_pictures", "pictures")
_MAPS = sentence("term_feature_maps", "feature maps")
_INDICES = sentence("term_window_indices", "window indices")
_BAND = sentence("term_band", "band")
_LAYERS = sentence("term_layers_and_convolutions", "layers and convolutions")
_HEAD = sentence("term_head", "head")
_KERNEL = sentence("term_kernel", "kernel")
_EMBEDDING = sentence("term_embedding", "embedding")
_RUNTIME = sentence("term_runtime", "runtime")

_INDEX_BYTES = 4


def total(terms: Terms) -> int:
    return sum(size for _, size in terms)


def map_bytes(plan: PassPlan) -> int:
    """One feature map of all images of the batch."""
    return plan.batch * plan.bounds.area * plan.config.embed_dim * ELEMENT_BYTES[plan.computed_in]


def picture_terms(plan: PassPlan, *, before_head: bool = False) -> Terms:
    """The pass's output or a strip of it, its padded input, and the pictures that wait.

    before_head: while no row of a streamed output is there yet.
    """
    channels, scale = plan.config.in_channels, plan.config.scale
    rows = plan.strip_rows if plan.streamed else plan.height
    if plan.streamed and before_head:
        rows = 0
    output = rows * plan.width * channels * scale**2 * FP32_BYTES
    # of tiles, only those are padded that are at work
    padded = plan.bounds.area * channels * FP32_BYTES if plan.exact else 0
    return ((_PICTURES, plan.batch * (output + padded) + plan.other_bytes),)


def resident_terms(plan: PassPlan, *, before_head: bool = False) -> Terms:
    """What of the pictures is in the compute device's memory."""
    return picture_terms(plan, before_head=before_head) if plan.holds_pictures else ()


def host_pictures(plan: PassPlan) -> int:
    """What of the pictures is in the host's memory, where that is another."""
    return 0 if plan.holds_pictures else total(picture_terms(plan))


def pinned_bytes(plan: PassPlan, there: int = 0, back: int = 0) -> int:
    """Of the host's memory, what a ferry has pinned for pieces of `there` and `back` bytes at most.

    Pieces of the output come back, too, where pictures are on the host. torch takes powers of two.
    """
    if plan.unified:
        return 0
    side = min(plan.head_side, max(plan.height, plan.width)) * plan.config.scale
    piece = (
        0 if plan.holds_pictures else plan.batch * side**2 * plan.config.in_channels * FP32_BYTES
    )
    return sum(1 << (size - 1).bit_length() for size in (there, max(back, piece)) if size)


def kernel_terms(plan: PassPlan) -> Terms:
    """What a compiled kernel keeps: weights in its own layout, and memory for its threads."""
    if not plan.kernel_threads:
        return ()
    size = ELEMENT_BYTES[plan.computed_in]
    scratch = plan.kernel_threads * scratch_bytes(plan.config, size)
    return ((_KERNEL, packed_bytes(plan.config, size) + scratch),)


def embed_terms(plan: PassPlan, maps: int) -> Terms:
    """The embedding fills the first map: a piece as it comes, without its context, and normed."""
    config = plan.config
    piece, inner = (_conv_piece(plan, plan.bounds.height, plan.bounds.width, m) for m in (1, 0))
    cut_out = inner if piece > inner else 0  # without its context the piece is a copy
    features = (piece + cut_out + inner) * config.embed_dim * FP32_BYTES
    images = (not plan.holds_pictures) + config.pads_a_copy
    image = images * piece * config.in_channels * FP32_BYTES
    return (
        *resident_terms(plan, before_head=True),
        *kernel_terms(plan),
        (_MAPS, maps),
        (_EMBEDDING, plan.batch * (features + image)),
    )


def body_terms(plan: PassPlan) -> Terms:
    """A stage: two maps of the largest region, window indices, and a band or a convolution."""
    size, channels = ELEMENT_BYTES[plan.computed_in], plan.config.embed_dim
    height, width = plan.largest_region
    pixels = plan.batch * height * width
    conv = _stage_conv_pixels(plan, height, width)
    band, layers = _band(plan, pixels)
    return (
        *resident_terms(plan, before_head=True),
        *kernel_terms(plan),
        (_MAPS, 2 * pixels * channels * size),
        (_INDICES, 2 * pixels * _INDEX_BYTES),
        (_BAND, band * size),
        (_LAYERS, max(conv * channels, layers) * size),
    )


def _band(plan: PassPlan, pixels: int) -> tuple[int, int]:
    """Elements of a band's buffers, and of its layers' results, over a region of so many pixels."""
    if plan.kernel_threads:
        return 0, 0
    of = partial(
        WorkspaceSizes.of, plan.config, precision=plan.computed_in, on_gpu=not plan.unified
    )
    windows = min(plan.band_windows, pixels // plan.config.window**2)
    return of(windows=plan.band_windows).kept, of(windows=windows).layers


def head_terms(plan: PassPlan, maps: int) -> Terms:
    """The head: what is left of the maps, and one piece with its context."""
    config, size = plan.config, ELEMENT_BYTES[plan.computed_in]
    costs = HEAD_COSTS[config.head]
    reach = costs.reach + conv_reach(config)
    rows = longest_piece(plan.height, plan.head_side, reach, plan.padded_height)
    columns = longest_piece(plan.width, plan.head_side, reach, plan.padded_width)
    context = plan.batch * rows * columns
    image = 0 if plan.holds_pictures else config.in_channels * FP32_BYTES
    features = config.embed_dim * size
    peak = max(costs.peak(config, size), config.embed_dim * FP32_BYTES)
    return (
        *resident_terms(plan),
        *kernel_terms(plan),
        (_MAPS, maps),
        (_HEAD, context * (features + image + peak)),
    )


def _stage_conv_pixels(plan: PassPlan, height: int, width: int) -> int:
    """Pixels of a stage's convolution that are there besides the maps."""
    if plan.kernel_threads and kernels_convolve(plan.config):
        return 0
    conv = plan.batch * _conv_piece(plan, height, width, conv_reach(plan.config))
    # a piece of a wider map is copied before it is convolved, and one that is padded
    return conv * (1 + (plan.conv_side < width) + plan.config.pads_a_copy)


def exported_terms(plan: PassPlan) -> Terms:
    """A tile in another runtime: what onnxruntime was seen to take on a CPU, whatever the type.

    Measured with 60 and 180 channels at 128 to 384 px, forecast over measured 0.99 to 1.14; the
    picture that comes out, and its weighted copy.
    """
    config = plan.config
    attention = max(config.num_heads) * config.window**2 * _EXPORTED_LOGITS
    pixel = (attention + config.embed_dim * _EXPORTED_MAPS) * FP32_BYTES
    made = config.in_channels * config.scale**2 * FP32_BYTES
    area = plan.batch * plan.bounds.area
    return ((_RUNTIME, int(area * pixel)), (_PICTURES, 2 * area * made))


def _conv_piece(plan: PassPlan, height: int, width: int, margin: int) -> int:
    """Pixels of the largest piece of a convolution over height x width, context included."""
    rows = longest_piece(height, plan.conv_side, margin, height)
    return rows * longest_piece(width, plan.conv_side, margin, width)
