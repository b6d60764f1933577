"""Compiles the kernels for graphics cards without one: what they take of a card, as JSON lines.

python tests/support/compile_for_cards.py NETWORK [80 86 89 90], with TRITON_INTERPRET=0 and Triton
from 3.2; NETWORK is classical or compact.
"""

# pyright: reportMissingImports=false
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from swin2sr_core.kernels.card import kernels
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.prepared.fold import fold

NETWORKS = {
    "classical": {"embed_dim": 180, "num_heads": (6,), "mlp_dim": 360},
    "compact": {"embed_dim": 60, "num_heads": (6,), "mlp_dim": 120},
}
TYPES = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.int32: "*i32",
}


class Recorder:
    """Instead of a kernel: keeps what it would have been launched with."""

    def __init__(self, function) -> None:
        self.function, self.launches = function, []

    def __getitem__(self, grid):
        return lambda *arguments, **options: self.launches.append((arguments, options))


def launches(sizes):
    """(function, arguments, options) of every kernel of ours in a shifted block."""
    config = Swin2SRConfig(
        in_channels=3, depths=(2,), window=8, scale=2, head="pixelshuffledirect",
        residual="1conv", img_range=1.0, **sizes,
    )  # fmt: skip
    block = fold(Swin2SR(config), torch.bfloat16, torch.device("cpu")).stages[0].blocks[1]
    names = ("attention_core", "add_normalised", "attention_half", "mlp_half")
    recorders = [Recorder(getattr(kernels.functions, name)) for name in names]
    for name, recorder in zip(names, recorders, strict=True):
        setattr(kernels.functions, name, recorder)
    x = torch.zeros(256, config.embed_dim, dtype=torch.bfloat16)
    band = torch.arange(256, dtype=torch.int32).view(4, 64)
    kinds = torch.arange(4, dtype=torch.int32)
    for kernel in (kernels.CoreKernel(), kernels.HalvesKernel(4), kernels.HalvesKernel(8)):
        kernel.run(block, kinds, x, x, band)
    for recorder in recorders:
        for arguments, options in recorder.launches:
            yield recorder.function, arguments, options
    for name, recorder in zip(names, recorders, strict=True):
        setattr(kernels.functions, name, recorder.function)


def compiled(function, arguments, options, card):
    constants = {k: v for k, v in options.items() if k in function.arg_names}
    kinds = [each for each in function.arg_names if each not in constants]
    signature = {
        name: TYPES[value.dtype] if isinstance(value, torch.Tensor)
        else "fp32" if isinstance(value, float) else "i32"
        for name, value in zip(kinds, arguments, strict=True)
    }  # fmt: skip
    aligned = {
        (function.arg_names.index(name),): [["tt.divisibility", 16]]
        for name, kind in signature.items() if kind.startswith("*")
    }  # fmt: skip
    source = ASTSource(
        fn=function,
        signature={name: signature.get(name, "constexpr") for name in function.arg_names},
        constexprs={(function.arg_names.index(name),): v for name, v in constants.items()},
        attrs=aligned,
    )
    own = {k: v for k, v in options.items() if k not in constants}
    return triton.compile(source, target=GPUTarget("cuda", card, 32), options=own)


def registers(ptx, card):
    """Registers of a thread and bytes that spill, by the assembler that knows this PTX."""
    found = sorted(Path(str(triton.__file__)).parent.glob("backends/nvidia/bin/ptxas*"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.ptx")
        path.write_text(ptx)
        name = f"sm_{card}" + ("a" if card >= 90 else "")
        for assembler in reversed(found):
            command = [assembler, "-v", f"--gpu-name={name}", str(path), "-o", f"{folder}/out"]
            told = subprocess.run(command, capture_output=True, text=True).stderr
            if used := re.search(r"Used (\d+) registers", told):
                spilled = re.search(r"(\d+) bytes spill stores", told)
                return int(used[1]), int(spilled[1]) if spilled else 0
    raise RuntimeError(told)


def main() -> None:
    network, *cards = sys.argv[1:]
    for function, arguments, options in launches(NETWORKS[network]):
        for card in [int(each) for each in cards] or [80, 86, 89, 90]:
            made = compiled(function, arguments, options, card)
            used, spilled = registers(made.asm["ptx"], card)
            row = {
                "kernel": function.__name__,
                "card": card,
                "warps": options["num_warps"],
                "registers": used,
                "spilled": spilled,
                "shared": made.metadata.shared,
                "products": len(re.findall(r"mma\.sync|wgmma\.mma", made.asm["ptx"])),
            }
            sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
