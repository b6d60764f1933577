"""One Swin V2 block on one band of windows, in memory that is taken once and used by every band."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from ..network.config import Swin2SRConfig
from ..network.network import COSINE_EPS, scaled_gelu
from ..network.windows import Kinds
from ..planning.workspace import WorkspaceSizes
from ..prepared.folded import FoldedAttention, FoldedBlock
from .kernel import REFERENCE


class Workspace:
    """The buffers of a band. Nothing in a block allocates but its linear layers and norms."""

    def __init__(
        self, config: Swin2SRConfig, windows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.tokens = config.window**2
        self.band_windows = windows
        self._bias, self._kinds = torch.empty(0), 0
        sizes = vars(WorkspaceSizes.of(config, windows))
        self._buffers = {
            name: torch.empty(size, dtype=dtype, device=device)
            for name, size in sizes.items()
            if name != "layers"
        }

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """The start of a buffer, as a tensor of `shape`; what was in it is overwritten later.

        `dtype` is a type as wide as the buffer's, or narrower.
        """
        buffer = self._buffers[name]
        return buffer.view(dtype or buffer.dtype)[: prod(shape)].view(shape)

    def gather(self, source: Tensor, index: Tensor) -> Tensor:
        """(H W) x C at `index` (windows x tokens) -> (windows tokens) x C."""
        out = self.take("windows", index.numel(), source.shape[1])
        return torch.index_select(source, 0, index.flatten(), out=out)

    def prepare_bias(self, attention: FoldedAttention, kinds: Kinds) -> None:
        """Choose the windows' biases of position, for `attend`."""
        self._bias, self._kinds = attention.bias, kinds

    def put_bias(self, logits: Tensor) -> None:
        """Fill windows x heads x tokens x tokens with what was chosen."""
        if isinstance(self._kinds, Tensor):
            torch.index_select(self._bias, 0, self._kinds, out=logits)
        else:
            logits.copy_(self._bias[self._kinds])


class ReferenceKernel:
    """The block in PyTorch, on any device and in any precision; see `kernel.BlockKernel`."""

    name = REFERENCE

    def __init__(
        self, config: Swin2SRConfig, windows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """For bands of at most `windows` windows."""
        self._memory = Workspace(config, windows, dtype, device)

    def run(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """See `BlockKernel.run`."""
        self._memory.prepare_bias(block.attention, kinds)
        windows = run_block(block, self._memory.gather(source, band), self._memory)
        rows = band.flatten().long()
        if target.device.type == "mps":  # torch before 2.8 has no index_copy_ there
            target[rows] = windows
        else:
            target.index_copy_(0, rows, windows)


def run_block(block: FoldedBlock, x: Tensor, memory: Workspace) -> Tensor:
    """Apply `block` in place to x, (windows tokens) x C from `gather`; the bias is prepared."""
    x += block.norm1(attend(block.attention, x, memory))
    x += block.norm2(block.fc2(activate(block.fc1(x), block.hidden_scale)))
    return x


def activate(hidden: Tensor, scale: float) -> Tensor:
    """GELU, in place where `hidden` is not scaled."""
    return torch.ops.aten.gelu_(hidden) if scale == 1 else scaled_gelu(hidden, scale)


def attend(attention: FoldedAttention, x: Tensor, memory: Workspace) -> Tensor:
    """Scaled cosine attention within each window (Swin V2, equation 2), its projection included."""
    tokens, heads = memory.tokens, attention.heads
    windows = len(x) // tokens
    width = attention.qkv.features // (3 * heads)
    batch = windows * heads

    dtype = attention.bias.dtype
    qkv = memory.take("heads", 3, windows, heads, tokens, width, dtype=dtype)
    projected = attention.qkv(x).view(windows, tokens, 3, heads, width)
    qkv.copy_(projected.permute(2, 0, 3, 1, 4))
    del projected
    normalize(qkv[:2], attention.q_scale)

    q, k, v = qkv.view(3, batch, tokens, width)
    logits = memory.take("logits", batch, tokens, tokens, dtype=dtype)
    memory.put_bias(logits.view(windows, heads, tokens, tokens))
    logits.baddbmm_(q, k.transpose(1, 2))
    if not attention.bounded:
        logits -= logits.amax(dim=-1, keepdim=True)
    context = memory.take("context", batch, tokens, width, dtype=dtype)
    torch.bmm(logits.exp2_(), v, out=context)

    # The last column of v is one, so the last column here is the sum of the weights.
    context = context.view(windows, heads, tokens, width).transpose(1, 2)
    attended = memory.take("heads", windows, tokens, heads, width)
    torch.div(context, context[..., -1:], out=attended)
    return attention.proj(attended.view(len(x), -1))


def normalize(q_and_k: Tensor, q_scale: Tensor) -> None:
    """Divide each head's rows by their norms, q's times `q_scale`, in place.

    The norms are of q_scale's type: fp16 has no 1e-12, and the square of 256 does not fit into it.
    """
    norms = torch.linalg.vector_norm(q_and_k, dim=-1, keepdim=True, dtype=q_scale.dtype)
    norms.clamp_min_(COSINE_EPS).reciprocal_()
    norms[0] *= q_scale
    torch.mul(q_and_k, norms, out=q_and_k)
