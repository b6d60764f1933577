"""What refining faces gains and costs: PSNR inside the faces, seconds, and the law's numbers.

    python benchmarks/faces.py [--data ../shared/data] [--better PATH|NAME] [--only gain|cost|laws]

Pictures of Set5 as the papers reduce them, and the astronaut at a quarter of its size; the base is
bicubic or compact-x4, the faces are those of the better model (the official lightweight, twice).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from swin2sr_core import Model, load_model, plan_upscale, upscale
from swin2sr_core.faces import (
    Compositor,
    Face,
    Grid,
    RefineSettings,
    YuNet,
    plan_regions,
    refine,
    select_faces,
)
from swin2sr_core.faces.crops import CropRunner
from swin2sr_core.pictures.frame import Frame
from swin2sr_core.pictures.metrics import compared_luma
from swin2sr_core.pictures.resize import resize
from swin2sr_core.planning.tiles import Box

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def read(path: Path) -> Tensor:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")) / np.float32(255)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def timed(work: Callable[[], object], times: int = 1) -> tuple[object, float]:
    """The result, and the least seconds of so many runs."""
    seconds = []
    result: object = None
    for _ in range(times):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return result, min(seconds)


def cases(data: Path) -> list[tuple[str, Tensor, Tensor]]:
    """Name, picture, and the truth at x4."""
    made = []
    for name in ("woman", "head"):
        small = read(data / "set5" / "LR_x4" / f"{name}x4.png")
        height, width = small.shape[2] * 4, small.shape[3] * 4
        made.append((name, small, read(data / "set5" / "HR" / f"{name}.png")[..., :height, :width]))
    truth = read(data / "images" / "astronaut.png")
    made.append(("astronaut/4", resize(truth, 128, 128).clamp(0, 1), truth))
    return made


def psnr_inside(image: Tensor, truth: Tensor, boxes: list[Box]) -> float:
    """PSNR on Y over the pixels of these boxes."""
    a, b = compared_luma(image, truth, 0)
    inside = torch.zeros(a.shape[-2:], dtype=torch.bool)
    for box in boxes:
        inside[box.rows, box.columns] = True
    return float(10 * torch.log10(255**2 / (a - b)[0, 0, inside].square().mean()))


def gain(data: Path, detector: YuNet, better: Model) -> None:
    compact = load_model("compact-x4", "fp32")
    print(f"{'picture':12} {'base':10} face px  before   after   whole |  base s  faces s  whole s")
    for name, small, truth in cases(data):
        size = truth.shape[2:]
        faces, _ = select_faces(detector.detect(small), *small.shape[2:], min_face=12, score=0.6)
        regions = plan_regions(faces, *small.shape[2:])
        grid = Grid(*small.shape[2:], *size)
        areas = [grid.target(region.area) for region in regions]
        whole, whole_seconds = timed(lambda p=small: upscale(better, p, 4).image)
        bases = {
            "bicubic": lambda p=small, s=size: resize(p, *s).clamp(0, 1),
            "compact-x4": lambda p=small: upscale(compact, p, 4).image,
        }
        for base_name, make in bases.items():
            base, base_seconds = timed(make)
            for match in (False, True):
                settings = RefineSettings(match_color=match)
                work = lambda p=small, b=base, f=faces, s=settings: refine(  # noqa: E731
                    better, Frame(p), Frame(b), f, s
                )
                made, seconds = timed(work)
                values = [psnr_inside(i, truth, areas) for i in (base, made.frame.color, whole)]
                print(
                    f"{name:12} {base_name:10} {sum(b.area for b in areas):7} "
                    f"{values[0]:7.2f} {values[1]:7.2f} {values[2]:7.2f} | "
                    f"{base_seconds:7.3f} {seconds:8.2f} {whole_seconds:8.2f}"
                    + ("  match_color" if match else "")
                )


def cost(data: Path, detector: YuNet) -> None:
    for name in ("astronaut.png", "crowd_unsplash.webp"):
        image = read(data / "images" / name)
        for side in (512, 1024):
            factor = side / max(image.shape[2:])
            picture = resize(image, *(round(n * factor) for n in image.shape[2:])).clamp(0, 1)
            detector.detect(picture)
            found, seconds = timed(lambda p=picture: detector.detect(p), 3)
            print(f"detection, {name} at {side} px: {len(found)} boxes, {seconds:.3f} s")
    face = Face(400, 200, 560, 400)
    regions, seconds = timed(lambda: plan_regions([face], 540, 960), 5)
    print(f"planning one face: {seconds * 1e3:.2f} ms")
    base = torch.rand(3, 2160, 3840)
    target = Grid(540, 960, 2160, 3840).target(regions[0].area)
    patch = torch.rand(3, target.height, target.width)
    compositor, copying = timed(lambda: Compositor(base, [target]), 3)
    _, seconds = timed(lambda: compositor.add(0, patch), 5)
    print(
        f"blending a face of {target.width}x{target.height} at 4K: {seconds * 1e3:.1f} ms "
        f"(and once per picture, its copy: {copying * 1e3:.0f} ms)"
    )


def laws(data: Path, detector: YuNet, better: Model) -> None:
    small = resize(read(data / "images" / "astronaut.png"), 128, 128).clamp(0, 1)
    faces, _ = select_faces(detector.detect(small), 128, 128, score=0.6)
    for model in (load_model("compact-x4", "fp32"), better):
        whole = upscale(model, small, 4).image
        made = refine(model, Frame(small), Frame(whole), faces)
        change = float((made.frame.color - whole).abs().max()) * 255
        outside = made.mask == 0
        equal = torch.equal(made.frame.color[..., outside], whole[..., outside])
        print(f"same model, exact base, {model.name}: {change:.4f}/255; outside equal: {equal}")
    base = resize(small, 512, 512).clamp(0, 1)
    made = refine(better, Frame(small), Frame(base), faces)
    strong = upscale(better, small, 4).image
    m, worst = made.mask, 0.0
    for axis in (-1, -2):
        g_out, g_base, g_new, g_m = (i.diff(dim=axis) for i in (made.frame.color, base, strong, m))
        near = m[..., :-1] if axis == -1 else m[:-1]
        worst = max(worst, float((g_out - ((1 - near) * g_base + near * g_new)).abs().max()))
        bound = float(g_m.abs().max() * (strong - base).abs()[..., m > 0].max())
        print(f"seam along axis {axis}: {worst:.4f} <= {bound:.4f}")
    runner = CropRunner(better, 4)
    whole_work = plan_upscale(better.config, 128, 128, 4).work
    crops = [region.crop for region in made.regions]
    share = sum(crop.area for crop in crops) / 128**2
    work = sum(runner.work(crop) for crop in crops) / whole_work
    print(f"work {work:.4f} of the whole for {share:.4f} of the pixels: {work / share:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--better", help="the better model (default: the official lightweight)")
    parser.add_argument("--only", choices=("gain", "cost", "laws"))
    args = parser.parse_args()
    weights = args.data / "weights"
    detector = YuNet(weights / "face_detection_yunet_2023mar.onnx")
    better = load_model(args.better or weights / "Swin2SR_Lightweight_X2_64.safetensors", "fp32")
    if args.only in (None, "cost"):
        cost(args.data, detector)
    if args.only in (None, "laws"):
        laws(args.data, detector, better)
    if args.only in (None, "gain"):
        gain(args.data, detector, better)


if __name__ == "__main__":
    main()
