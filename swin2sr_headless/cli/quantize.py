"""swin2sr quantize and dequantize: a checkpoint as an int8 file, and back."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

from .arguments import Commands, Parser, add_command, add_json
from .output import Console, Outcome, table
from .stopping import StopSwitch

if TYPE_CHECKING:
    from torch import Tensor

_QUANTIZE_EXAMPLES = """\
  swin2sr quantize classical-x4 -o classical_x4_int8.safetensors
  swin2sr quantize my_model.pth -o small.safetensors --report
  swin2sr upscale photo.jpg --model small.safetensors --precision int8"""
_DEQUANTIZE_EXAMPLES = """\
  swin2sr dequantize small.safetensors -o plain.safetensors"""


def register(commands: Commands[Parser]) -> None:
    """Add both commands and their options."""
    parser = add_command(
        commands, "quantize", run_quantize, "write a model as an int8 file", _QUANTIZE_EXAMPLES
    )
    parser.add_argument("model", metavar="NAME|PATH", help="a model's name or checkpoint file")
    parser.add_argument(
        "--report", action="store_true", help="show how much each linear layer loses"
    )
    _add_output(parser)
    parser = add_command(
        commands,
        "dequantize",
        run_dequantize,
        "write an int8 file as a plain fp32 checkpoint",
        _DEQUANTIZE_EXAMPLES,
    )
    parser.add_argument("model", metavar="PATH", help="a file that `swin2sr quantize` wrote")
    _add_output(parser)


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FILE", help="ends in .safetensors"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    add_json(parser)


def run_quantize(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Quantise what can bear it; keep the rest in fp16."""
    from swin2sr_core.models.catalog import resolve_model
    from swin2sr_core.models.checkpoint import load_checkpoint
    from swin2sr_core.models.int8_files import METADATA, compressed
    from swin2sr_core.network.network import Swin2SR
    from swin2sr_core.prepared.precision import LEAST_SIGNAL_TO_NOISE, layer_errors, robust_layers

    _check_name(args.output)
    source = resolve_model(args.model)
    config, state = load_checkpoint(source)
    network = Swin2SR(config)
    network.load_state_dict(state)
    errors = layer_errors(network.eval())
    layers = robust_layers(network, errors)
    size = _write(args, compressed(state, layers), METADATA | config.metadata)
    kept = sorted(set(errors) - set(layers))
    if args.report:
        console.show(_report(errors, kept))
    before = sum(4 * value.numel() for value in state.values())
    console.show(
        f"{args.output}: {_megabytes(size)}, {size / before:.0%} of the {_megabytes(before)} in "
        f"fp32; {len(layers)} of {len(errors)} linear layers in int8"
    )
    return Outcome(
        0,
        {
            "status": "ok",
            "model": str(source),
            "output": str(args.output),
            "bytes": size,
            "fp32_bytes": before,
            "int8_layers": len(layers),
            "float_layers": kept,
            "least_decibels": LEAST_SIGNAL_TO_NOISE,
            "layers": {name: round(min(ratio, 999.0), 2) for name, ratio in errors.items()},
        },
    )


def run_dequantize(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Back to fp32; what quantising rounded away stays lost."""
    from swin2sr_core.models.catalog import resolve_model
    from swin2sr_core.models.checkpoint import load_checkpoint
    from swin2sr_core.models.int8_files import is_int8_file

    _check_name(args.output)
    source = resolve_model(Path(args.model))
    if source.suffix != ".safetensors" or not is_int8_file(source):
        raise InputError(
            f"{source.name} is no int8 file: only what `swin2sr quantize` wrote can be dequantised"
        )
    config, state = load_checkpoint(source)
    size = _write(args, state, config.metadata)
    console.show(f"{args.output}: {_megabytes(size)}")
    document = {"status": "ok", "model": str(source), "output": str(args.output), "bytes": size}
    return Outcome(0, document)


def _check_name(path: Path) -> None:
    if path.suffix != ".safetensors":
        raise InputError(f"the output must end in .safetensors, got {path.name}")


def _write(
    args: argparse.Namespace, tensors: Mapping[str, Tensor], metadata: dict[str, str]
) -> int:
    from safetensors.torch import save

    from swin2sr_core.pictures.files.output_file import output_file

    content = save({name: value.contiguous() for name, value in tensors.items()}, metadata)
    with output_file(args.output, overwrite=args.overwrite) as file:
        file.write(content)
    return len(content)


def _report(errors: Mapping[str, float], kept: list[str]) -> str:
    """Each layer's decibels of signal over what int8 adds, worst first, and a summary."""
    rows = [("layer", "dB", "")]
    for name, ratio in sorted(errors.items(), key=lambda item: item[1]):
        rows.append((name, f"{ratio:.1f}", "kept in float" if name in kept else ""))
    worst, middle = min(errors.values()), statistics.median(errors.values())
    return f"{table(rows)}\nworst {worst:.1f} dB, median {middle:.1f} dB\n"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.2f} MB"
