"""Plain colours made right: the smallest change of a head that gives back what was plain.

A loss over pictures leaves an error of one or two levels on plain colours, which is seen as a faint
grid on what should be flat. The head is linear: of all its changes that mend them, the one that
changes photographs least solves a system of equations as large as the head has inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from swin2sr_core.errors import InputError
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.network.padding import reflect_pad

_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_WEIGHT = 10.0
"""Of a plain colour's squared error, beside that of what changes in a photograph."""
_RIDGE = 1e-5
"""Of the mean variance of a feature, added to each: some hardly ever differ from nothing."""


@torch.no_grad()
def mend_plain_colors(network: Swin2SR, pictures: Iterable[Tensor]) -> tuple[float, float]:
    """Change the head of `network` in place; the largest error of a plain colour before and after.

    pictures: B x C x H x W in 0..1, what the network is for: their features say what must stay.
    Raises InputError for another head than pixelshuffledirect: the others are not linear.
    """
    if network.config.head != "pixelshuffledirect":
        raise InputError(
            f"plain colours are mended in a pixelshuffledirect head, and this network's is "
            f"{network.config.head}; leave --plain-colors out"
        )
    conv = network.get_submodule("upsample.0")
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    plain, error = _plain(network, conv)
    natural, count = torch.zeros_like(plain.T @ plain), 0
    for picture in pictures:
        seen = _seen(network, conv, picture)
        natural += seen.T @ seen
        count += len(seen)
    natural /= count
    kept = natural + _RIDGE * natural.diagonal().mean() * torch.eye(len(natural)).double()
    weight = _WEIGHT / len(plain)
    change = torch.linalg.solve(kept + weight * plain.T @ plain, weight * plain.T @ error)
    conv.weight += change[:-1].T.reshape(conv.weight.shape).float()
    conv.bias += change[-1].float()
    return float(error.abs().max()), float((error - plain @ change).abs().max())


def _plain(network: Swin2SR, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """What the head sees of each plain colour, and what is missing from what it makes of it."""
    config, side = network.config, network.config.window
    colors = torch.tensor(list(product(_LEVELS, repeat=config.in_channels)))
    pictures = colors[:, :, None, None].expand(-1, -1, side, side)
    seen = _seen(network, conv, pictures).unflatten(0, (len(colors), -1))
    middle = side // 2
    pixel = slice(middle * config.scale, (middle + 1) * config.scale)
    missing = pictures[..., :1, :1] - network.on_grid(pictures)[..., pixel, pixel]
    return seen[:, middle * side + middle], config.img_range * missing.flatten(1).double()


def _seen(network: Swin2SR, conv: nn.Conv2d, picture: Tensor) -> Tensor:
    """Pixels x inputs of the head, its bias's one included."""
    inputs: list[Tensor] = []
    hook = conv.register_forward_pre_hook(lambda _module, args: inputs.append(args[0]))
    try:
        network.on_grid(reflect_pad(picture, network.config.window))
    finally:
        hook.remove()
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    patches = F.unfold(F.pad(inputs[0], (1, 1, 1, 1), mode), 3)
    rows = rearrange(patches, "b c l -> (b l) c").double()
    return torch.cat([rows, torch.ones(len(rows), 1).double()], dim=1)
