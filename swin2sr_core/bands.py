"""One Swin V2 block on one band of windows, in memory that is taken once and used by every band."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from .config import Swin2SRConfig
from .folding import Affine, FoldedAttention, FoldedBlock, layer_norm, padded_head_dim
from .network import COSINE_EPS


@dataclass(frozen=True)
class WorkspaceSizes:
    """Elements of each buffer that a band of windows needs; the plan adds them up."""

    windows: int
    wide: int
    heads: int
    logits: int
    bias: int
    norms: int
    context: int
    branch: int
    normed: int

    @classmethod
    def of(cls, config: Swin2SRConfig, windows: int) -> WorkspaceSizes:
        """The buffers for bands of at most `windows` windows, in any stage of the network."""
        tokens = config.window**2
        rows = windows * tokens
        heads = max(config.num_heads)
        padded = max(h * padded_head_dim(config.embed_dim // h) for h in config.num_heads)
        return cls(
            windows=rows * config.embed_dim,
            wide=rows * max(3 * padded, config.mlp_dim),
            heads=rows * 3 * padded,
            logits=rows * heads * tokens,
            bias=rows * heads * tokens,
            norms=rows * 2 * heads,
            context=rows * padded,
            branch=rows * config.embed_dim,
            normed=rows * config.embed_dim,
        )

    @property
    def total(self) -> int:
        return sum(vars(self).values())


class Workspace:
    """The buffers of a band. Nothing in a block allocates but its two norms (`normed`)."""

    def __init__(
        self, config: Swin2SRConfig, windows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.tokens = config.window**2
        self.band_windows = windows
        sizes = vars(WorkspaceSizes.of(config, windows))
        self._buffers = {
            name: torch.empty(size, dtype=dtype, device=device)
            for name, size in sizes.items()
            if name != "normed"
        }

    def take(self, name: str, *shape: int) -> Tensor:
        """The start of a buffer, as a tensor of `shape`; what was in it is overwritten later."""
        return self._buffers[name][: prod(shape)].view(shape)

    def gather(self, source: Tensor, index: Tensor) -> Tensor:
        """(H W) x C at `index` (windows x tokens) -> (windows tokens) x C."""
        out = self.take("windows", index.numel(), source.shape[1])
        return torch.index_select(source, 0, index.flatten(), out=out)

    def prepare_bias(self, attention: FoldedAttention, kind: int, windows: int) -> None:
        """Repeat the bias of one kind of window, so that a product of matrices can add to it."""
        bias = attention.bias[kind]
        self.take("bias", windows, *bias.shape).copy_(bias)


def run_block(block: FoldedBlock, x: Tensor, memory: Workspace) -> Tensor:
    """Apply `block` in place to x, (windows tokens) x C from `gather`; the bias is prepared."""
    x += layer_norm(attend(block.attention, x, memory), block.norm1)
    rows, dim = x.shape
    hidden = linear(x, block.fc1, memory.take("wide", rows, len(block.fc1[1])))
    hidden = torch.ops.aten.gelu_(hidden)
    x += layer_norm(linear(hidden, block.fc2, memory.take("branch", rows, dim)), block.norm2)
    return x


def attend(attention: FoldedAttention, x: Tensor, memory: Workspace) -> Tensor:
    """Scaled cosine attention within each window (Swin V2, equation 2), its projection included."""
    (rows, dim), tokens, heads = x.shape, memory.tokens, attention.heads
    windows = rows // tokens
    width = len(attention.qkv[1]) // (3 * heads)
    batch = windows * heads

    qkv = linear(x, attention.qkv, memory.take("wide", rows, 3 * heads * width))
    split = memory.take("heads", 3, windows, heads, tokens, width)
    split.copy_(qkv.view(windows, tokens, 3, heads, width).permute(2, 0, 3, 1, 4))

    norms = memory.take("norms", 2, windows, heads, tokens, 1)
    torch.linalg.vector_norm(split[:2], dim=-1, keepdim=True, out=norms)
    norms.clamp_min_(COSINE_EPS).reciprocal_()
    norms[0] *= attention.q_scale
    split[:2] *= norms

    q, k, v = split.view(3, batch, tokens, width)
    bias = memory.take("bias", batch, tokens, tokens)
    logits = memory.take("logits", batch, tokens, tokens)
    torch.baddbmm(bias, q, k.transpose(1, 2), out=logits)
    if not attention.bounded:
        logits -= logits.amax(dim=-1, keepdim=True)
    context = torch.bmm(logits.exp2_(), v, out=memory.take("context", batch, tokens, width))

    # The last column of v is one, so the last column here is the sum of the weights.
    context = context.view(windows, heads, tokens, width).transpose(1, 2)
    attended = memory.take("wide", windows, tokens, heads, width)
    torch.div(context, context[..., -1:], out=attended)
    return linear(attended.view(rows, -1), attention.proj, memory.take("branch", rows, dim))


def linear(x: Tensor, affine: Affine, out: Tensor) -> Tensor:
    """x @ weight.T + bias into `out`."""
    weight, bias = affine
    return torch.addmm(bias, x, weight.t(), out=out)
