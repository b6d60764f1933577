"""The command line over a folder of picture files, each result held against its source.

    python benchmarks/picture_collection.py FOLDER [--side N] [--format F] [--json OUT]

One run of `swin2sr upscale` over copies of all files, whatever they are called; what is larger than
`--side` is reduced first, as `--max-input-side` does. A result is right where it has four times the
size of what is looked at, alpha where there was some, the same colours once it is reduced again,
and the metadata or a sentence on what was lost. Sources are read by Pillow alone for that. One that
was refused is refused fairly where Pillow fails on it, too, or where it is beyond a limit, or of a
kind that is not read (docs/pictures.md). Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  teaches Pillow JPEG XL
from PIL import Image, ImageCms, ImageFile, ImageOps

from swin2sr_core.pictures.files.readable import DENIED

SCALE = 4
COLOUR, DETAIL = 6.0, 30.0
"""Of 255: how far a result, reduced, may be from its source in the mean of a channel, and pixel by
pixel. Swapped channels, a curve or a profile that got lost show in the first, a turned picture in
the second; lines of one pixel in a drawing of twenty come back up to 26 off."""
LIMITS = ("limit", "has more than", "is not decoded", "no program makes", "x4 is at most")

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None
pillow_heif.register_heif_opener()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--max-frames", type=int, default=20)
    parser.add_argument("--format", default="png")
    parser.add_argument("--json", type=Path, help="every verdict, for a closer look")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        renamed(arguments.folder, Path(name) / "in")
        verdicts = [verdict(each) for each in upscaled(arguments, Path(name))]
    for group, count in sorted(Counter(each["verdict"] for each in verdicts).items()):
        print(f"{count:>6}  {group}")
    for each in verdicts:
        if each["verdict"] == "wrong":
            print(f"wrong: {each['input']}: {'; '.join(each['why'])}")
    if arguments.json:
        arguments.json.write_text(json.dumps(verdicts, indent=1))
    sys.exit(any(each["verdict"] == "wrong" for each in verdicts))


def renamed(folder: Path, copies: Path) -> None:
    """The files under names of their own: a.png and a.jpg would both become a_x4.png."""
    copies.mkdir()
    files = sorted(
        each for each in folder.rglob("*") if each.is_file() and ".git" not in each.parts
    )
    for number, file in enumerate(files):
        (copies / f"{number:05}_{file.name}").write_bytes(file.read_bytes())


def upscaled(arguments: argparse.Namespace, place: Path) -> list[dict[str, Any]]:
    """What the command line says of each picture; results stay until they were looked at."""
    command = [sys.executable, "-m", "swin2sr_core", "upscale", place / "in", "-o", place / "out"]
    options = ["--json", "lines", "--format", arguments.format, "--device", "cpu"]
    limits = ["--max-input-side", arguments.side, "--max-frames", arguments.max_frames]
    done = subprocess.run(
        [str(part) for part in (*command, *options, *limits, "--precision", "fp32")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not any("input" in line for line in lines):
        sys.exit(f"nothing was tried: {done.stdout[-500:]}")
    for line in lines:
        if "input" in line and line.get("status") == "ok":
            try:
                line["why"] = wrong_with(line, arguments.side)
            except Exception as error:
                line["why"] = [f"it cannot be compared: {error}"]
    return [line for line in lines if "input" in line]


def verdict(line: dict[str, Any]) -> dict[str, Any]:
    why = line.get("why", [])
    if line["status"] == "ok":
        group = "wrong" if why else "right"
        notices = line.get("notices", [])
    else:
        group, why, notices = *refusal(line), []
    return {"input": line["input"], "verdict": group, "why": why, "notices": notices}


def refusal(line: dict[str, Any]) -> tuple[str, list[str]]:
    """Whether a refusal is fair."""
    message = str(line.get("message") or line.get("error") or line)
    if any(word in message for word in LIMITS):
        return "refused: a limit", [message]
    try:
        with Image.open(line["input"]) as image:
            if image.format in DENIED:
                return "refused: a kind that is not read", [message]
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
    except Exception:
        return "refused: Pillow fails too", [message]
    return "wrong", [f"refused, and Pillow reads it: {message}"]


def wrong_with(line: dict[str, Any], side: int) -> list[str]:
    """What is not as it should be; empty where all is right."""
    problems = []
    with Image.open(line["input"]) as source, Image.open(line["output"]) as result:
        notices = " ".join(line.get("notices", []))
        problems += lost_metadata(source, result, notices)
        paged = getattr(source, "n_frames", 1) > 1
        deep = source.mode in ("I", "F") or source.mode.startswith("I;16")
        expected, found = looked_at(source), looked_at(result)
    if max(expected.size) > side:
        factor = side / max(expected.size)
        gated = (max(1, round(expected.width * factor)), max(1, round(expected.height * factor)))
        expected = expected.resize(gated, Image.Resampling.BICUBIC)
    size = (expected.width * SCALE, expected.height * SCALE)
    if found.size != size:
        return [f"{found.size} for {size}"]
    seen = expected.getchannel("A").getextrema()[0] < 255
    kept = found.getchannel("A").getextrema()[0] < 255
    if seen != kept and not paged and not deep:  # of those Pillow has no alpha
        problems.append(f"transparent: {seen} before, {kept} after")
    mean, detail = apart(expected, found)
    if mean > COLOUR or detail > DETAIL:
        problems.append(f"colours {mean:.1f}/255 off in the mean, {detail:.1f} pixel by pixel")
    return problems


def looked_at(image: Image.Image) -> Image.Image:
    """The first frame as a viewer shows it: turned, in RGBA."""
    if image.info.get("default_image"):  # an APNG's picture for readers without animation
        image.seek(1)
    try:
        image = ImageOps.exif_transpose(image)
    except TypeError:  # Pillow's own, on EXIF in a text
        image.load()
    if image.mode == "CMYK" and (profile := image.info.get("icc_profile")):
        import io

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, np.float64)
        most = values.max() if values.size else 1
        white = next((step for step in (1, 255, 65535) if most <= step), most)
        white = white if image.mode == "F" else max(white, 65535)
        return Image.fromarray((values.clip(0) * (255 / white)).astype(np.uint8)).convert("RGBA")
    return image.convert("RGBA")


def apart(expected: Image.Image, found: Image.Image) -> tuple[float, float]:
    """How far what is visible is apart: the means of channels, and pixels."""
    reduced = found.convert("RGBa").resize(expected.size, Image.Resampling.BOX)
    before = np.asarray(expected.convert("RGBa"), np.float64)[..., :3]
    difference = np.asarray(reduced, np.float64)[..., :3] - before
    mean = np.abs(difference.mean(axis=(0, 1))).max()
    return float(mean), float(np.abs(difference).mean())


def lost_metadata(source: Image.Image, result: Image.Image, notices: str) -> list[str]:
    """What the source tells and the result does not, without a word about it."""
    problems = []
    if "EXIF" not in notices:
        before, after = source.getexif(), result.getexif()
        for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298):
            value = before.get(tag)
            if value and str(value).strip("\0 ") and tag not in after:
                problems.append(f"EXIF 0x{tag:04X} is gone")
    profile = source.info.get("icc_profile")
    kept = result.info.get("icc_profile")
    meant = profile and source.mode not in ("CMYK", "LAB")  # those are converted by it
    if meant and kept != profile and "profile" not in notices:
        problems.append("the colour profile is gone")
    told = {**source.info, **getattr(source, "text", {})} if source.format == "PNG" else {}
    texts = {name: text for name, text in told.items() if isinstance(text, str)}
    for name in texts.keys() - {"transparency", "XML:com.adobe.xmp", "interlace"}:
        if name not in getattr(result, "text", {}) and not name.startswith("Raw profile"):
            problems.append(f"the text {name!r} is gone")
    return problems


if __name__ == "__main__":
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    main()
