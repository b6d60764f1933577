"""A network prepared for inference, as modules; `fold` makes them, and the kernels run them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..network.config import Swin2SRConfig
from .derived import Deriving
from .linears import Linear
from .quantization import QuantizedLinear

if TYPE_CHECKING:
    from typing_extensions import Self

Layer = Linear | QuantizedLinear
"""A linear layer: rows x in -> rows x out, in the type of its input."""


class FoldedAttention(nn.Module):
    """Window attention: C -> (three heads padded_dim), and back.

    `bias` is kinds x heads x tokens x tokens, in units of log2, as is the temperature `q_scale`
    (heads x 1 x 1, float32 where q and k are normalised in float32). The bias has the type that
    attention computes in. `bounded` tells that no logit can leave the range of exp2.
    """

    q_scale: Tensor
    bias: Tensor

    def __init__(
        self, qkv: Layer, q_scale: Tensor, bias: Tensor, proj: Layer, heads: int, bounded: bool
    ) -> None:
        super().__init__()
        self.qkv, self.proj = qkv, proj
        self.register_buffer("q_scale", q_scale)
        self.register_buffer("bias", bias)
        self.heads, self.bounded = heads, bounded


class FoldedBlock(Deriving):
    """One Swin V2 block. What comes out of `fc1` is `hidden_scale` times what GELU is to see."""

    def __init__(
        self,
        shifted: bool,
        attention: FoldedAttention,
        norm1: nn.LayerNorm,
        fc1: Layer,
        fc2: Layer,
        norm2: nn.LayerNorm,
        hidden_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.attention, self.norm1 = attention, norm1
        self.fc1, self.fc2, self.norm2 = fc1, fc2, norm2
        self.hidden_scale = hidden_scale


class FoldedStage(nn.Module):
    """The blocks of a stage, and its convolution with the 1x1 convolution behind it folded in."""

    def __init__(self, blocks: Sequence[FoldedBlock], conv: MapConv) -> None:
        super().__init__()
        self.blocks = cast(Sequence[FoldedBlock], nn.ModuleList(blocks))
        self.conv = conv


class FoldedNetwork(Deriving):
    """All that the engine needs to run one network; `dtype` is the type of its feature maps.

    It moves between devices, copies and lists its tensors as every module does. But each tensor
    keeps the type that it was prepared in: `half()` and the like change nothing, as some of them
    need float32, and `in_fp32` is the one way to another type. A state dict fits a network that was
    prepared from the same weights: numbers that follow from these (`bounded`, `hidden_scale`, the
    norms' eps) are not in it.
    """

    mean: Tensor

    def __init__(
        self,
        config: Swin2SRConfig,
        dtype: torch.dtype,
        mean: Tensor,
        conv_first: nn.Module,
        embed: nn.Module,
        embed_norm: nn.LayerNorm,
        stages: Sequence[FoldedStage],
        norm: nn.LayerNorm,
        conv_after_body: MapConv,
        head: dict[str, nn.Module],
    ) -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        self.register_buffer("mean", mean)
        self.conv_first, self.embed, self.embed_norm = conv_first, embed, embed_norm
        self.stages = cast(Sequence[FoldedStage], nn.ModuleList(stages))
        self.norm, self.conv_after_body = norm, conv_after_body
        self.head = nn.ModuleDict(head)
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it runs: it is only ever moved whole."""
        return self.mean.device

    def in_fp32(self) -> FoldedNetwork:
        """A copy that computes in float32 with the same weights, for what needs its range."""
        wide = copy.deepcopy(self)
        for part in wide.children():
            part.float()
        wide.dtype = torch.float32
        return wide

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def moved(tensor: Tensor) -> Tensor:
            made = fn(tensor)
            return made if made.dtype == tensor.dtype else tensor.to(made.device)

        # A parameter may not be an inference tensor at one time and none at another, and a host
        # moves models both in its runs, which are in inference mode, and between them.
        with torch.inference_mode(False):
            return super()._apply(moved, recurse)


class ExactConv2d(nn.Conv2d):
    """A convolution whose float32 is float32 on Nvidia's cards too.

    cuDNN rounds its products to TF32's 10 bits by default, which is 8e-4 off where 1e-5 is
    promised. Told at the call, since the setting is the process's, and another's.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not input.is_cuda or input.dtype != torch.float32:
            return super()._conv_forward(input, weight, bias)
        return self.without_tf32(input, weight, bias)

    def without_tf32(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        cudnn = torch.backends.cudnn
        padding = cast(tuple[int, int], self.padding)
        if self.padding_mode != "zeros":
            height, width = padding
            input = F.pad(input, (width, width, height, height), self.padding_mode)
            padding = (0, 0)
        return torch.ops.aten._convolution(
            input,
            weight,
            bias,
            self.stride,
            padding,
            self.dilation,
            False,
            [0, 0],
            self.groups,
            cudnn.benchmark,
            cudnn.deterministic,
            cudnn.enabled,
            False,
        )


class PictureConv(nn.Module):
    """A convolution from or to a picture: always float32, since bf16 has no 8 bits for a pixel."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.float())


class MapConv(Deriving):
    """One or more convolutions from feature map to feature map."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    @property
    def reach(self) -> int:
        """How many pixels it sees to each side."""
        convs = (each for each in self.modules() if isinstance(each, nn.Conv2d))
        return sum(each.kernel_size[0] // 2 for each in convs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
