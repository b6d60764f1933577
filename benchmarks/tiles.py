"""The *tiled* strategy against the whole picture: what tiles cost in exactness and in time.

python benchmarks/tiles.py PICTURE CHECKPOINT [--size 600x560] [--overlap 32]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import swin2sr_core as s2
from swin2sr_core.pictures import open_picture

TILES = (128, 256, 384, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", default="600x560", help="cut this much, WxH, from the top left")
    parser.add_argument("--overlap", type=int, default=32)
    arguments = parser.parse_args()
    width, height = (int(n) for n in arguments.size.split("x"))
    model = s2.load_model(arguments.checkpoint, "fp32")
    with open_picture(arguments.picture) as picture:
        image = next(picture.frames()).color[..., :height, :width].contiguous()
    expected = s2.upscale(model, image, model.scale)
    print(f"whole: {expected.report.seconds:.1f} s")
    for tile in TILES:
        plan = s2.make_plan(
            model,
            height,
            width,
            model.scale,
            strategy="tiled",
            tile=tile,
            overlap=arguments.overlap,
        )
        found = s2.upscale(model, image, plan=plan)
        difference = (found.image - expected.image).double()
        psnr = -10 * math.log10(max(float(difference.square().mean()), 1e-20))
        rows, columns = plan.passes[0].tile_rows, plan.passes[0].tile_columns
        print(
            f"tiles of {tile} that overlap by {arguments.overlap}: {len(rows.starts)}x"
            f"{len(columns.starts)} of {columns.size}x{rows.size} px, max "
            f"{255 * float(difference.abs().max()):.3f}/255, {psnr:.1f} dB, "
            f"{found.report.seconds:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
