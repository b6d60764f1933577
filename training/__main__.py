"""python -m training: fit a network, export it, look at the drawn pictures."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from swin2sr_core.errors import InputError, Swin2SRError
from swin2sr_core.network.network import Swin2SR
from swin2sr_headless.cli.stopping import StopSwitch
from swin2sr_headless.degradation.drawn import drawn_picture

from .checkpoint import RunState, load_run
from .config import TrainingConfig, read_config
from .dataset import Batches
from .export import export_weights, mix_in
from .loop import LAST, Trainer
from .plain_colors import mend_plain_colors
from .processes import joined

_MENDING_BATCHES = 8
"""Enough: a head has five hundred inputs, and these make a hundred thousand rows of features."""

logger = logging.getLogger("training")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, as `swin2sr`'s are."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except Swin2SRError as error:
        logger.error("error: %s", error)
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("interrupted; the run goes on from its last checkpoint")
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    fit = commands.add_parser("fit", help="train until the schedule ends; goes on where it stopped")
    fit.add_argument("config", type=Path, help="a JSON file, see training/recipes")
    fit.add_argument("--out", type=Path, required=True, help="the run's folder")
    fit.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    fit.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="as schedule.steps=100"
    )
    fit.set_defaults(run=_fit)
    export = commands.add_parser("export", help="a run's average as fp16 .safetensors")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("output", type=Path)
    export.add_argument("--name", default="", help="the model's name, for the file's metadata")
    export.add_argument("--license", default="Apache-2.0", help="the weights' (Apache-2.0)")
    export.add_argument("--overwrite", action="store_true")
    export.add_argument(
        "--mix",
        metavar="MODEL:SHARE",
        help="that share of another model's weights, of the same sizes, and the rest of the run's: "
        "between a network and what was fine-tuned from it both tasks go well",
    )
    export.add_argument(
        "--plain-colors",
        action="store_true",
        help="change the head a little, so that plain colours are right to a level of 255; looks "
        "at pictures of the run's folders",
    )
    export.set_defaults(run=_export)
    draw = commands.add_parser("draw", help="some of the synthetic pictures, to look at")
    draw.add_argument("folder", type=Path)
    draw.add_argument("--count", type=int, default=8)
    draw.add_argument("--seed", type=int, default=0)
    draw.set_defaults(run=_draw)
    return parser


def _fit(args: argparse.Namespace) -> int:
    config = read_config(args.config, args.set)
    _check_ends(config)
    args.out.mkdir(parents=True, exist_ok=True)
    stop = StopSwitch()
    with stop.installed(), joined(args.device) as processes, stop.polled():
        if not processes.leads:
            logger.setLevel(logging.WARNING)
        trainer = Trainer(config, args.out, processes, stop)
        state = trainer.run()
        logger.info("step %d: saved in %s", state.step, args.out / LAST)
    return 0


def _check_ends(config: TrainingConfig) -> None:
    if not config.schedule.steps and not config.schedule.minutes:
        raise InputError("the run would never end; set schedule.steps or schedule.minutes")


def _export(args: argparse.Namespace) -> int:
    state = load_run(args.checkpoint)
    about = {"name": args.name, "license": args.license}
    about = {name: value for name, value in about.items() if value}
    if args.mix:
        mix_in(state.average, *_model_and_share(args.mix))
    if args.plain_colors:
        _mend(state)
    size = export_weights(state, args.output, about, overwrite=args.overwrite)
    logger.info("%s: %d bytes, after step %d", args.output, size, state.step)
    return 0


def _mend(state: RunState) -> None:
    config = TrainingConfig.from_dict(state.config)
    network = Swin2SR(config.network)
    network.load_state_dict(state.average)
    batches = Batches(
        replace(config.data, ragged_share=0.0), config.network.scale, config.batch, config.seed
    )
    pictures = (batches[state.step + number][0] for number in range(_MENDING_BATCHES))
    before, after = mend_plain_colors(network, pictures)
    state.average.update(network.state_dict())
    logger.info("plain colours: off by %.2f/255 before, %.2f after", 255 * before, 255 * after)


def _model_and_share(text: str) -> tuple[str, float]:
    model, _, share = text.rpartition(":")
    try:
        part = float(share)
    except ValueError:
        part = -1.0
    if not model or not 0 < part < 1:
        raise InputError(f"--mix wants MODEL:SHARE, as compact-x4:0.25, got {text}")
    return model, part


def _draw(args: argparse.Namespace) -> int:
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.count):
        picture = Image.fromarray(drawn_picture(args.seed, number))
        picture.save(args.folder / f"drawn_{number:03d}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
