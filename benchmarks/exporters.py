"""What exporters make of one checkpoint: nodes, bytes, which sizes, and whether it is right.

    python benchmarks/exporters.py CHECKPOINT [--transformers FOLDER]

Needs swin2sr[export], and, for those that are to be compared, spandrel, onnxscript (torch's newer
exporter), and transformers and optimum-onnx with FOLDER: config.json and pytorch_model.bin or
model.safetensors, as transformers stores them.
Every exporter is asked for open sizes, at an example of 64x64.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor

from swin2sr_core.export.contract import Contract
from swin2sr_core.export.onnx_file import OPERATORS
from swin2sr_core.export.writing import onnx_bytes
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.network.network import Swin2SR

SIZES = ((64, 64), (64, 96), (128, 80), (8, 8))
BATCHES = (1, 3)


def network_of(path: Path) -> Swin2SR:
    config, state = load_checkpoint(path)
    network = Swin2SR(config)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval().requires_grad_(False)


def ours(network: Swin2SR, out: Path) -> None:
    contract = Contract.of(
        network.config, model="x", precision="fp32", licence="", weights_sha256=""
    )
    out.write_bytes(onnx_bytes(network, contract)[0])


def traced(module: torch.nn.Module, out: Path) -> None:
    axes = {"image": {0: "b", 2: "h", 3: "w"}, "upscaled": {0: "b", 2: "h", 3: "w"}}
    names = {"input_names": ["image"], "output_names": ["upscaled"]}
    example = torch.rand(1, 3, 64, 64)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the graph where it fails
        torch.onnx.export(module, (example,), str(out), dynamic_axes=axes, dynamo=False, **names)


def dynamo(module: torch.nn.Module, out: Path) -> None:
    sides = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    names = {"input_names": ["image"], "output_names": ["upscaled"]}
    example = torch.rand(2, 3, 64, 72)
    torch.onnx.export(
        module,
        (example,),
        str(out),
        dynamic_shapes=(sides,),
        dynamo=True,
        external_data=False,
        **names,
    )


def spandrels(network: Swin2SR) -> torch.nn.Module:
    """spandrel's network with these weights, as its loader makes one for 64x64.

    The loader itself knows a file by buffers of the original's, and ours has none.
    """
    arch = importlib.import_module("spandrel.architectures.Swin2SR.__arch.Swin2SR")
    config = network.config
    theirs = arch.Swin2SR(
        img_size=64,
        patch_size=1,
        in_chans=config.in_channels,
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.num_heads,
        window_size=config.window,
        mlp_ratio=config.mlp_dim / config.embed_dim,
        upscale=config.scale,
        img_range=config.img_range,
        upsampler="" if config.head == "none" else config.head,
        resi_connection=config.residual,
    )
    theirs.load_state_dict(network.state_dict(), strict=False)
    return theirs.eval()


def transformers(folder: Path) -> torch.nn.Module:
    """transformers' network, picture in and picture out."""
    from transformers import Swin2SRForImageSuperResolution

    class Pictures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = Swin2SRForImageSuperResolution.from_pretrained(folder).eval()

        def forward(self, image: Tensor) -> Tensor:
            return self.model(image).reconstruction

    return Pictures()


def optimums(folder: Path, out: Path) -> None:
    from optimum.exporters.onnx import main_export  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as made:
        main_export(str(folder), made, task="image-to-image", do_validation=False)
        out.write_bytes(next(Path(made).glob("*.onnx")).read_bytes())


def judged(name: str, make: Callable[[Path], None], network: Swin2SR, folder: Path) -> str:
    out, started = folder / "made.onnx", time.perf_counter()
    out.unlink(missing_ok=True)
    try:
        make(out)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return f"{name:<32} fails: {type(error).__name__}: {first[:110]}"
    seconds = time.perf_counter() - started
    graph = onnx.load(out).graph
    beyond = sorted({node.op_type for node in graph.node} - OPERATORS)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    found = []
    for batch in BATCHES:
        for height, width in SIZES:
            image = torch.rand(batch, 3, height, width)
            found.append(f"{batch}x{width}x{height} {_difference(session, network, image)}")
    size = out.stat().st_size / 1e6
    return (
        f"{name:<32} {len(graph.node)} nodes, {size:.1f} MB, {seconds:.0f} s, beyond ours: "
        f"{' '.join(beyond) or '-'}\n    " + "; ".join(found)
    )


def _difference(session: onnxruntime.InferenceSession, network: Swin2SR, image: Tensor) -> str:
    try:
        (out, *_) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    except Exception:
        return "refused"
    made, expected = torch.from_numpy(out), network(image)
    if made.shape != expected.shape:
        return f"gives {made.shape[3]}x{made.shape[2]}"
    return f"{float((made - expected).abs().max()):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--transformers", type=Path)
    parser.add_argument("--only", default="", help="exporters with this in their name")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    network = network_of(args.checkpoint)
    makers: dict[str, Callable[[Path], None]] = {
        "swin2sr export": lambda out: ours(network, out),
        "torch.onnx, network.py": lambda out: traced(network, out),
        "torch.onnx, spandrel": lambda out: traced(spandrels(network), out),
        "torch.onnx dynamo, network.py": lambda out: dynamo(network, out),
        "torch.onnx dynamo, spandrel": lambda out: dynamo(spandrels(network), out),
    }
    if args.transformers:
        makers["torch.onnx, transformers"] = lambda out: traced(
            transformers(args.transformers), out
        )
        makers["torch.onnx dynamo, transformers"] = lambda out: dynamo(
            transformers(args.transformers), out
        )
        makers["optimum"] = lambda out: optimums(args.transformers, out)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in makers.items():
            if args.only not in name:
                continue
            print(judged(name, make, network, Path(folder)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
