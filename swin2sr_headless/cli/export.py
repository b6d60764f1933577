"""swin2sr export: a model as one file for other runtimes, with its contract."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

from .arguments import Commands, Parser, add_command, add_json, parse_size
from .output import Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.export.checks import Check
    from swin2sr_core.export.contract import Contract
    from swin2sr_core.network.network import Swin2SR

_EXAMPLES = """\
  swin2sr export compact-x4 -o compact_x4.onnx --check
                                                 any size, any batch, in float32
  swin2sr export classical-x4 -o classical_fp16.onnx --precision fp16
                                                 half the size, for GPUs
  swin2sr export my_model.pth -o fixed.onnx --size 256x256
                                                 256 high and wide, a batch of one
  swin2sr export compact-x4 -o compact_x4.pt2 --check
                                                 a program of torch.export
  swin2sr upscale photo.jpg --model compact_x4.onnx
                                                 run by onnxruntime

.onnx files need `pip install onnx onnxruntime` (or swin2sr[export])"""

_NO_INT8 = (
    "exported files are fp32 or fp16: int8 with fixed steps, which other runtimes ask for, takes "
    "longer than fp32 in the form that all of them read (figures in docs/export.md); use fp16"
)
_SUFFIXES = (".onnx", ".pt2")


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "export", run, "write a model as one file for other runtimes", _EXAMPLES
    )
    parser.add_argument("model", metavar="NAME|PATH", help="a model's name or checkpoint file")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help="ends in .onnx, or .pt2 for torch.export; FILE.json beside it has the contract: what "
        "goes in and comes out",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="fix height and width (multiples of the window, 8) and a batch of one, for runtimes "
        "that compile for one shape (default: all open)",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="number format of the weights and the graph (default: fp32); pictures are float32. "
        "int8 is refused, docs/export.md says why",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run the file beside the model, and write it only if both give the same",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Make the file in memory, check it, write it and its contract."""
    from swin2sr_core.pictures.files.output_file import output_file

    if args.precision == "int8":
        raise InputError(_NO_INT8)
    beside = _beside(args)
    network, contract = _loaded(args.model, args.precision, args.size)
    content, contract = _made(args, network, contract)
    check = _checked(args, network, content, contract) if args.check else None
    with output_file(args.output, overwrite=args.overwrite) as file:
        file.write(content)
    with output_file(beside, overwrite=args.overwrite) as file:
        file.write(contract.to_json().encode())
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    console.show(
        f"{args.output}: {len(content) / 1e6:.2f} MB ({weights / 1e6:.2f} MB of weights in fp32), "
        f"{contract.precision}, {contract.size} size"
    )
    if check is not None:
        console.show(_told(check))
    return Outcome(
        0,
        {
            "status": "ok",
            "output": str(args.output),
            "contract_file": str(beside),
            "bytes": len(content),
            "weight_bytes": weights,
            "contract": contract.to_dict(),
            "check": None if check is None else check.to_dict(),
        },
    )


def exported_files(model: str, folder: Path, size: tuple[int, int]) -> dict[str, Path]:
    """The model's .onnx files in `folder` by precision; none where onnx is not installed.

    Raises InputError for a picture of `size` that is not on the window grid.
    """
    from swin2sr_core.errors import DeviceError
    from swin2sr_core.export.writing import check_size, onnx_bytes

    files = {}
    for precision in ("fp32", "fp16"):
        network, contract = _loaded(model, precision, None)
        check_size(size, network.config.window)
        try:
            content, _ = onnx_bytes(network, contract)
        except DeviceError:
            return {}
        files[precision] = folder / f"{precision}.onnx"
        files[precision].write_bytes(content)
    return files


def _loaded(model: str, precision: str, size: tuple[int, int] | None) -> tuple[Swin2SR, Contract]:
    """The network in fp32, and what can be said of its file."""
    import torch

    from swin2sr_core.export.contract import Contract
    from swin2sr_core.models.catalog import model_name, resolve_model
    from swin2sr_core.models.checkpoint import load_checkpoint
    from swin2sr_core.models.checksums import sha256_of
    from swin2sr_core.network.network import Swin2SR

    path = resolve_model(model)
    config, state = load_checkpoint(path)
    network = Swin2SR(config)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    contract = Contract.of(
        config,
        model=model_name(model, path),
        precision=precision,
        licence=_licence(path),
        weights_sha256=sha256_of(path),
        size=size,
        torch=torch.__version__,
    )
    return network.eval().requires_grad_(False), contract


def _licence(path: Path) -> str:
    """The catalog's, for files that it knows; of others nobody has told us."""
    from swin2sr_core.models.catalog import CATALOG

    known = (entry.licence for entry in CATALOG if entry.file_name == path.name)
    return next(known, "unknown: that of the model's file")


def _made(args: argparse.Namespace, network: Swin2SR, contract: Contract) -> tuple[bytes, Contract]:
    if args.output.suffix == ".onnx":
        from swin2sr_core.export.writing import onnx_bytes

        return onnx_bytes(network, contract, args.size)
    from swin2sr_core.export.program import program_bytes

    return program_bytes(network, contract, args.size), contract


def _checked(
    args: argparse.Namespace, network: Swin2SR, content: bytes, contract: Contract
) -> Check:
    from swin2sr_core.export.checks import checked

    if args.output.suffix == ".onnx":
        from swin2sr_core.export.session import OnnxSession

        run = OnnxSession(content, contract, "cpu").run
    else:
        from swin2sr_core.export.program import program_run

        run = program_run(content)
    return checked(network, contract, run, args.size)


def _told(check: Check) -> str:
    return (
        f"checked at {', '.join(check.sizes)} on the CPU: largest difference "
        f"{check.difference:.2g}, {check.decibels:.1f} dB; {check.timed} took "
        f"{check.seconds:.3f} s"
    )


def _beside(args: argparse.Namespace) -> Path:
    """Where the contract goes. Raises InputError, OutputExistsError before any work."""
    from .targets import check_absent

    if args.output.suffix not in _SUFFIXES:
        raise InputError(f"the output must end in {' or '.join(_SUFFIXES)}, got {args.output.name}")
    beside = args.output.with_name(f"{args.output.name}.json")
    if not args.overwrite:
        check_absent([args.output, beside])
    return beside


def _size(text: str) -> tuple[int, int]:
    """An argparse type: (height, width)."""
    size = parse_size(text)
    if size is None or not 0 < min(size) <= max(size) <= 1 << 14:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, as in 256x256, got {text!r}")
    return size
