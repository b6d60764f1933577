"""swin2sr evaluate: PSNR and SSIM of a model on pictures whose originals are known."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import (
    PRECISIONS,
    Commands,
    Parser,
    add_command,
    add_device,
    add_json,
    add_model,
    whole_number,
)
from .output import Console, Outcome, table
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.models.model import Model

    from .evaluation import Pair, Score

_EXAMPLES = """\
  swin2sr evaluate --hr Set5/HR --lr Set5/LR_x4
  swin2sr evaluate --hr photos                          reduced here, by bicubic
  swin2sr evaluate --hr Set5/HR --model lightweight-x2 --scale 4 --json

LR and HR pictures belong together by name: baby.png and baby.png, babyx4.png or baby_x4.png.
Y is that of BT.601 (MATLAB's rgb2ycbcr); as many pixels as the scale are cut off all round."""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "evaluate", run, "measure PSNR and SSIM against known originals", _EXAMPLES
    )
    parser.add_argument("--hr", required=True, metavar="DIR", help="the originals")
    parser.add_argument(
        "--lr",
        metavar="DIR",
        help="their reductions (default: made of the originals, by bicubic with antialiasing)",
    )
    add_model(parser)
    parser.add_argument(
        "--precision",
        default="fp32",
        choices=PRECISIONS,
        help="number format of the network (default: fp32, the reference)",
    )
    add_device(parser)
    parser.add_argument(
        "--scale",
        type=whole_number(1, 16),
        default=4,
        metavar="N",
        help="how many times smaller LR is; an x2 model is applied twice for 4 (default: 4)",
    )
    parser.add_argument("--progress", action="store_true", help="show the bar even off a terminal")
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Upscale every LR picture and compare it, and bicubic's, with its original."""
    from swin2sr_core.models.model import load_model

    from .evaluation import evaluate, find_pairs

    pairs = find_pairs(args.hr, args.lr, args.scale)
    model = load_model(args.model, args.precision, args.device)
    scores: list[Score] = []
    with console.bar("evaluating", len(pairs)) as bar, stop.polled():
        for number, pair in enumerate(pairs, 1):
            scores.append(evaluate(model, pair, args.scale, stop))
            bar.to(number)
    console.show(_as_table(model.name, pairs, scores))
    return Outcome(0, _document(model, args.scale, pairs, scores))


def _as_table(model: str, pairs: list[Pair], scores: list[Score]) -> str:
    """One row per picture, and the means."""
    from .evaluation import mean

    rows = [("picture", model, "", "bicubic", "")]
    named = [(pair.high.stem, score) for pair, score in zip(pairs, scores, strict=True)]
    for name, score in [*named, ("mean", mean(scores))]:
        rows.append(
            (
                name,
                f"{score.psnr:.3f} dB",
                f"{score.ssim:.4f}",
                f"{score.bicubic_psnr:.3f} dB",
                f"{score.bicubic_ssim:.4f}",
            )
        )
    return f"PSNR and SSIM on Y\n\n{table(rows)}"


def _document(
    model: Model, scale: int, pairs: list[Pair], scores: list[Score]
) -> dict[str, object]:
    """The same for programs; what is infinite (equal pictures) is null."""
    from .evaluation import mean

    return {
        "status": "ok",
        "model": model.name,
        "precision": model.precision,
        "device": str(model.device),
        "scale": scale,
        "border": scale,
        "mean": mean(scores).to_dict(),
        "pictures": [
            {"hr": str(pair.high), "lr": None if pair.low is None else str(pair.low)}
            | score.to_dict()
            for pair, score in zip(pairs, scores, strict=True)
        ],
    }
