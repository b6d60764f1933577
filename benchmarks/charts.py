"""README's two charts, seconds and memory, as SVG.

python benchmarks/peers.py --size 128 --precision fp32 bf16 --json peers.json
COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/comfy_compare.py PICTURE CHECKPOINT --json ways.json
python benchmarks/charts.py peers.json ways.json       # docs/images/speed.svg, memory.svg

Without arguments it draws what docs/measured.md tells, from docs/images/{speed,memory}.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from html import escape
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, LABELS, ROW, BAR, HEAD, FOOT = 720, 250, 30, 18, 44, 12
OURS, OTHERS = "#2f6fde", "#8a94a3"
PEERS = ("transformers fp32", "spandrel fp32", "spandrel bf16", "ours fp32", "ours bf16")
WAYS = {
    "ComfyUI's own node": "Upscale Image (using Model)",
    "ours, fp32": "Tiled Upscale x4, fp32",
    "ours, bf16": "Tiled Upscale x4, bf16",
}


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    shown: str

    @property
    def colour(self) -> str:
        return OURS if self.name.startswith(("ours", "Tiled")) else OTHERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peers", type=Path, nargs="?", default=IMAGES / "speed.json")
    parser.add_argument("ways", type=Path, nargs="?", default=IMAGES / "memory.json")
    args = parser.parse_args()
    rounds = json.loads(args.peers.read_text("utf-8"))["128"]
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    ways = {
        WAYS[name]: each
        for name, each in json.loads(args.ways.read_text("utf-8")).items()
        if name in WAYS and each
    }
    speed = [
        Bar(name, median, f"{median:.2f} s")
        for wanted in PEERS
        for name, median in medians.items()
        if name.startswith(wanted)
    ]
    memory = [
        Bar(name, each["bytes"] / 2**20, f"{each['bytes'] / 2**20:.0f} MB, {each['seconds']:.1f} s")
        for name, each in ways.items()
    ]
    heading = "Seconds for 128x128 to 512x512, network of the classical size, two CPU cores"
    (IMAGES / "speed.svg").write_text(chart(heading, speed), "utf-8")
    heading = "Memory and seconds for one picture in ComfyUI, lightweight-x2, two CPU cores"
    (IMAGES / "memory.svg").write_text(chart(heading, memory), "utf-8")


def chart(heading: str, bars: list[Bar]) -> str:
    """Bars that are read on white and on black: the paper is white in both."""
    height = HEAD + ROW * len(bars) + FOOT
    most = max(bar.value for bar in bars)
    room = WIDTH - LABELS - 130
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(heading)}" font-family="sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#fff"/>',
        f'<text x="16" y="26" font-weight="bold" fill="#1f2430">{escape(heading)}</text>',
    ]
    for at, bar in enumerate(bars):
        y = HEAD + ROW * at
        length = max(1, round(room * bar.value / most, 1))
        middle = y + BAR / 2 + 5
        parts += [
            f'<text x="{LABELS - 10}" y="{middle}" text-anchor="end" fill="#1f2430">'
            f"{escape(bar.name)}</text>",
            f'<rect x="{LABELS}" y="{y}" width="{length}" height="{BAR}" fill="{bar.colour}"/>',
            f'<text x="{LABELS + length + 6}" y="{middle}" fill="#1f2430">'
            f"{escape(bar.shown)}</text>",
        ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()
