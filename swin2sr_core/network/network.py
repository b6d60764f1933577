"""The Swin2SR network as the paper draws it (arXiv 2209.11345): readable and differentiable.

Parameter names are the authors'. This is what training trains and what tests compare with;
upscaling runs the same weights through `engine.py`, in a fraction of the time and memory.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .config import Swin2SRConfig
from .heads import HEADS, conv3x3
from .padding import crop, reflect_pad
from .windows import attention_masks, merge, partition, position_bias

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean of the DIV2K training pictures, subtracted from three-channel input."""

MAX_LOGIT_SCALE = math.log(100.0)
"""Attention temperatures are clamped here (Swin V2, section 3.3)."""

NORM_EPS = 1e-5
COSINE_EPS = 1e-12


class WindowAttention(nn.Module):
    """Scaled cosine attention within windows, with continuous position bias (Swin V2, 3.2-3.3)."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False)
        )
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch windows) tokens C; mask: windows x tokens x tokens, added to the logits.

        Temperature and bias cost a pass over q and one over the logits, which are far larger.
        """
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)
        q, k, v = rearrange(qkv, "n t (three h d) -> three n h t d", three=3, h=self.heads)
        q = (
            F.normalize(q, dim=-1, eps=COSINE_EPS)
            * self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        )
        k = F.normalize(k, dim=-1, eps=COSINE_EPS)
        products = (q @ k.transpose(-2, -1)).unflatten(0, (-1, mask.shape[0]))
        logits = products + (position_bias(self.cpb_mlp, self.window) + mask[:, None])
        out = logits.softmax(dim=-1).flatten(0, 1) @ v
        return self.proj(rearrange(out, "n h t d -> n t (h d)"))


class Mlp(nn.Module):
    """Two linear layers around an exact (erf) GELU.

    What comes out of `fc1` is `hidden_scale` times what GELU sees: 1, but where the weights have
    been scaled to fit a narrow type (precision.py).
    """

    hidden_scale: float = 1.0

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(scaled_gelu(self.fc1(x), self.hidden_scale))


def scaled_gelu(x: Tensor, scale: float) -> Tensor:
    """GELU of x / scale, times scale."""
    return F.gelu(x) if scale == 1 else scale * F.gelu(x.float() / scale).to(x.dtype)


class SwinBlock(nn.Module):
    """A Swin V2 block: attention and MLP, each normalised after its branch, before the residual."""

    def __init__(self, dim: int, heads: int, window: int, shift: int, mlp_dim: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.attn = WindowAttention(dim, heads, window)
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, mlp_dim)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """x: B H W C, H and W multiples of the window."""
        _, height, width, _ = x.shape
        rolled = x.roll((-self.shift, -self.shift), dims=(1, 2))
        attended = self.attn(partition(rolled, self.window), self._masks(height, width).to(x))
        attended = merge(attended, self.window, height, width)
        x = x + self.norm1(attended.roll((self.shift, self.shift), dims=(1, 2)))
        return x + self.norm2(self.mlp(x))

    def _masks(self, height: int, width: int) -> Tensor:
        """windows x tokens x tokens: only the last window row and column hold unrelated pixels."""
        rows, columns = height // self.window, width // self.window
        kind = torch.zeros(rows, columns, dtype=torch.long)
        if self.shift:
            kind[-1, :] += 2
            kind[:, -1] += 1
        return attention_masks(self.window, self.shift)[kind.flatten()]


class ResidualGroup(nn.Module):
    """The blocks of one stage; every second one is shifted."""

    def __init__(self, dim: int, depth: int, heads: int, window: int, mlp_dim: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                SwinBlock(dim, heads, window, window // 2 if i % 2 else 0, mlp_dim)
                for i in range(depth)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class PatchEmbed(nn.Module):
    """A 1x1 convolution; the one before the first stage is followed by a norm."""

    def __init__(self, dim: int, norm: bool) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, dim, 1)
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """B C H W -> B H W C."""
        return self.norm(rearrange(self.proj(x), "b c h w -> b h w c"))


class Stage(nn.Module):
    """One RSTB: blocks, a convolution, and the stage's residual."""

    def __init__(self, config: Swin2SRConfig, index: int) -> None:
        super().__init__()
        dim, depth, heads = config.embed_dim, config.depths[index], config.num_heads[index]
        self.residual_group = ResidualGroup(dim, depth, heads, config.window, config.mlp_dim)
        self.conv = residual_conv(config)
        self.patch_embed = PatchEmbed(dim, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        """B H W C -> B H W C."""
        y = rearrange(self.residual_group(x), "b h w c -> b c h w")
        return x + self.patch_embed(self.conv(y))


def residual_conv(config: Swin2SRConfig) -> nn.Module:
    """The convolution at the end of a stage and of the body: one 3x3, or a bottleneck of three."""
    dim = config.embed_dim
    if config.residual == "1conv":
        return conv3x3(config, dim, dim)
    return nn.Sequential(
        conv3x3(config, dim, dim // 4),
        nn.LeakyReLU(0.2),
        nn.Conv2d(dim // 4, dim // 4, 1),
        nn.LeakyReLU(0.2),
        conv3x3(config, dim // 4, dim),
    )


class Swin2SR(nn.Module):
    """The whole network: B C H W in 0..1 -> B C scale*H scale*W, roughly in 0..1 (not clamped)."""

    def __init__(self, config: Swin2SRConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.conv_first = conv3x3(config, config.in_channels, dim)
        self.patch_embed = PatchEmbed(dim, norm=True)
        self.layers = nn.Sequential(*(Stage(config, i) for i in range(len(config.depths))))
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.conv_after_body = residual_conv(config)
        for name, module in HEADS[config.head].build(config).items():
            self.add_module(name, module)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        out = self.on_grid(reflect_pad(image, self.config.window))
        return crop(out, height * self.config.scale, width * self.config.scale)

    def on_grid(self, image: Tensor) -> Tensor:
        """The same for a picture whose sides are multiples of the window."""
        mean = image_mean(self.config).to(image)
        x = (image - mean) * self.config.img_range
        shallow = self.conv_first(x)
        deep = self.norm(self.layers(self.patch_embed(shallow)))
        features = self.conv_after_body(rearrange(deep, "b h w c -> b c h w")) + shallow
        out = HEADS[self.config.head].run(dict(self.named_children()), features, x)
        return out / self.config.img_range + mean


def image_mean(config: Swin2SRConfig) -> Tensor:
    """1 x C x 1 x 1: what is subtracted from the input and added to the output."""
    mean = torch.tensor(RGB_MEAN) if config.in_channels == 3 else torch.zeros(config.in_channels)
    return mean.view(1, -1, 1, 1)
