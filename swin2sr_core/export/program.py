"""A network as a torch program (.pt2): for AOTInductor, ExecuTorch, or torch by itself."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..network.network import Swin2SR, WindowAttention
from ..network.windows import relative_coordinates
from .contract import Contract
from .writing import check_size

CONTRACT_NAME = "swin2sr.contract.json"
"""Of the contract among a program's extra files."""

LEAST_WINDOWS, MOST_WINDOWS = 2, 2048
"""On an open side: torch takes a side of one for another case, and wants a limit."""


class _OnGrid(nn.Module):
    """The network without padding: what goes in is on the window grid."""

    def __init__(self, network: Swin2SR) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.on_grid(image)


class _Table(nn.Module):
    """In the place of the small network that makes position biases: what it gives, once for all."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table, requires_grad=False)

    def forward(self, offsets: Tensor) -> Tensor:
        return self.table


@torch.no_grad()
def program_bytes(
    network: Swin2SR, contract: Contract, size: tuple[int, int] | None = None
) -> bytes:
    """`network` (fp32, left as it is) as the bytes of a .pt2 file, its contract inside.

    Batch, height and width are open unless `size` fixes them, and a batch of one.
    Raises InputError for a size off the window grid, and for another precision than fp32.
    """
    window = network.config.window
    check_size(size, window)
    if contract.precision != "fp32":
        raise InputError(
            f"a .pt2 file is fp32, got {contract.precision}; what compiles it chooses the type, or "
            "export an .onnx file"
        )
    module = _OnGrid(_with_tables(network))
    example = torch.rand(1, network.config.in_channels, *(size or (2 * window, 3 * window)))
    shapes = None
    if size is None:
        example = example.repeat(2, 1, 1, 1)  # a batch of one would be taken for fixed
        batch = torch.export.Dim("batch", max=MOST_WINDOWS)
        rows, columns = (
            torch.export.Dim(name, min=LEAST_WINDOWS, max=MOST_WINDOWS)
            for name in ("rows", "columns")
        )
        shapes = ({0: batch, 2: window * rows, 3: window * columns},)
    program = torch.export.export(module, (example,), dynamic_shapes=shapes)
    for node in program.graph.nodes:  # where the code lay, on this machine: most of the file
        node.meta.pop("stack_trace", None)
        node.meta.pop("nn_module_stack", None)
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={CONTRACT_NAME: json.dumps(contract.to_dict())})
    return file.getvalue()


def program_run(content: bytes) -> Callable[[Tensor], Tensor]:
    """What runs a .pt2 file that this process has made: B C H W -> B C scale*H scale*W."""
    return torch.export.load(io.BytesIO(content)).module()


def _with_tables(network: Swin2SR) -> Swin2SR:
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        if isinstance(module, WindowAttention):
            small = cast(nn.Sequential, module.cpb_mlp)
            module.cpb_mlp = cast(nn.Sequential, _Table(small(relative_coordinates(module.window))))
    return network
