"""swin2sr evaluate: how near a model comes to pictures whose originals are known."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

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

    from .evaluation import Figures, Pair, Score

_EXAMPLES = """\
  swin2sr evaluate --hr Set5/HR --lr Set5/LR_x4
  swin2sr evaluate --hr photos                          reduced here, by bicubic
  swin2sr evaluate --hr Set5/HR --model lightweight-x2 --scale 4 --json
  swin2sr evaluate --hr photos --degrade 1 --drawn 5    clean, and worsened in four strengths

LR and HR pictures belong together by name: baby.png and baby.png, babyx4.png or baby_x4.png.
Y is that of BT.601 (MATLAB's rgb2ycbcr); as many pixels as the scale are cut off all round.
--degrade SEED makes the same test set anywhere: the LR pictures clean, and worsened by JPEG 70
(light), by JPEG 70 and 50 on two grids (medium), by JPEG 40 (strong), and by blur of 0.8 pixels,
noise of 4/255 and JPEG 60 (severe).
blocks: the mean step across JPEG's grid over the mean step elsewhere, 1 without blocks.
FLIP: how different two pictures look, 0 to 1 (with the extra `evaluate`)."""

_HEADINGS = ("PSNR", "SSIM", "chroma", "FLIP", "blocks")


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "evaluate", run, "measure PSNR, SSIM and more against known originals", _EXAMPLES
    )
    parser.add_argument("--hr", metavar="DIR", help="the originals")
    parser.add_argument(
        "--lr",
        metavar="DIR",
        help="their reductions (default: made of the originals, by bicubic with antialiasing)",
    )
    parser.add_argument(
        "--degrade",
        type=whole_number(0, 2**31),
        metavar="SEED",
        help="worsen the reductions in four strengths, by the chance of this number",
    )
    parser.add_argument(
        "--drawn",
        type=whole_number(0, 1000),
        default=0,
        metavar="N",
        help="with --degrade: so many drawn pictures more (text, line art, ramps, comic, patches)",
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

    from .evaluation import evaluate

    pairs = _pairs(args)
    model = load_model(args.model, args.precision, args.device)
    scores: list[Score] = []
    with console.bar("evaluating", len(pairs)) as bar, stop.polled():
        for number, pair in enumerate(pairs, 1):
            scores.append(evaluate(model, pair, args.scale, stop))
            bar.to(number)
    rows = _by_picture(pairs, scores) if args.degrade is None else _by_strength(pairs, scores)
    console.show(_as_table(model.name, rows))
    document = _document(model, args.scale, pairs, scores)
    if args.degrade is not None:
        document["strengths"] = {name: score.to_dict() for name, score, _ in rows}
    return Outcome(0, document)


def _pairs(args: argparse.Namespace) -> list[Pair]:
    """Raises InputError for options that contradict each other."""
    from .evaluation import degraded_pairs, find_pairs

    if args.degrade is not None:
        if args.lr is not None:
            raise InputError("--degrade makes the reductions itself; leave --lr out")
        return degraded_pairs(args.hr, args.drawn, args.degrade)
    if args.drawn:
        raise InputError("--drawn belongs to --degrade SEED; give both or none")
    if args.hr is None:
        raise InputError("there are no originals; name a folder with --hr")
    return find_pairs(args.hr, args.lr, args.scale)


def _by_picture(pairs: list[Pair], scores: list[Score]) -> list[tuple[str, Score, str]]:
    """Every picture, and the mean."""
    from .evaluation import mean

    named = [(pair.high.stem, score, "") for pair, score in zip(pairs, scores, strict=True)]
    return [*named, ("mean", mean(scores), "")]


def _by_strength(pairs: list[Pair], scores: list[Score]) -> list[tuple[str, Score, str]]:
    """The means of each strength, and how many of its pictures bicubic does better."""
    from .evaluation import mean

    groups: dict[str, list[Score]] = {}
    for pair, score in zip(pairs, scores, strict=True):
        groups.setdefault(pair.strength or "clean", []).append(score)
    rows = []
    for name, group in groups.items():
        below = sum(score.model.psnr < score.bicubic.psnr for score in group)
        rows.append((name, mean(group), f"{below} of {len(group)}"))
    return rows


def _as_table(model: str, rows: list[tuple[str, Score, str]]) -> str:
    """A row for each name and score; what stands behind it has a heading where there is any."""
    behind = ("below bicubic",) if any(last for _, _, last in rows) else ()
    empty = ("",) * len(_HEADINGS[1:])
    cells = [
        ("", model, *empty, "bicubic", *empty, *empty[: len(behind)]),
        ("picture", *_HEADINGS, *_HEADINGS, *behind),
    ]
    for name, score, last in rows:
        told = (last,) if behind else ()
        cells.append((name, *_cells(score.model), *_cells(score.bicubic), *told))
    about = "PSNR and SSIM on Y, PSNR on Cb and Cr (chroma) in dB"
    return f"{about}\n\n{table(cells)}"


def _cells(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.psnr:.3f}",
        f"{figures.ssim:.4f}",
        f"{figures.chroma_psnr:.3f}",
        "-" if math.isnan(figures.flip) else f"{figures.flip:.4f}",
        f"{figures.blockiness:.3f}",
    )


def _document(
    model: Model, scale: int, pairs: list[Pair], scores: list[Score]
) -> dict[str, object]:
    """The same for programs; what is infinite (equal pictures) or unknown is null."""
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
            {
                "hr": str(pair.high),
                "lr": None if pair.low is None else str(pair.low),
                "strength": pair.strength or None,
            }
            | score.to_dict()
            for pair, score in zip(pairs, scores, strict=True)
        ],
    }
