"""The icon and the banner for the registry: SVG, and PNG by chromium.

    python benchmarks/artwork.py            # docs/images/icon.{svg,png}, banner.{svg,png}

A small picture of coarse pixels, and the same one fine: drawn by formulas, from nothing.
"""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support")]

from browser import opened_browser  # noqa: E402

OUT = ROOT / "docs" / "images"
GROUND, COARSE, FINE = "#10151f", 8, 64
ICON, BANNER = (400, 400), (1680, 720)


def main() -> None:
    with opened_browser() as browser:
        for name, svg, size in (("icon", icon(), ICON), ("banner", banner(), BANNER)):
            (OUT / f"{name}.svg").write_text(svg, "utf-8")
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{svg}")
            page.screenshot(path=OUT / f"{name}.png")
            page.close()


def icon() -> str:
    """Coarse on the left, fine on the right."""
    return framed(ICON, halves(40, 40, 320))


def banner() -> str:
    height = BANNER[1]
    words = (
        f'<text x="720" y="{height / 2 - 30}" font-size="128" font-weight="700" fill="#fff">Swin2SR'
        f'</text><text x="724" y="{height / 2 + 50}" font-size="46" fill="#b9c4d6">x4 upscaling '
        f'without tiles,</text><text x="724" y="{height / 2 + 112}" font-size="46" fill="#b9c4d6">'
        "within the memory you give it</text>"
    )
    return framed(BANNER, halves(120, 120, 480) + words)


def framed(size: tuple[int, int], inside: str) -> str:
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">'
        f'<rect width="{width}" height="{height}" fill="{GROUND}"/>{inside}</svg>\n'
    )


def halves(x: float, y: float, side: float) -> str:
    """One drawing in a square: its left half in COARSE cells a side, its right one in FINE ones."""
    return cells(x, y, side, COARSE, range(COARSE // 2)) + cells(
        x, y, side, FINE, range(FINE // 2, FINE)
    )


def cells(x: float, y: float, side: float, count: int, columns: range) -> str:
    step = side / count
    made = []
    for row in range(count):
        fills = [
            (colour((column + 0.5) / count, (row + 0.5) / count), column) for column in columns
        ]
        for fill, run in itertools.groupby(fills, key=lambda each: each[0]):
            first, *rest = (column for _, column in run)
            made.append(
                f'<rect x="{x + first * step:g}" y="{y + row * step:g}" fill="{fill}" '
                f'width="{step * (1 + len(rest)) + 0.3:g}" height="{step + 0.3:g}"/>'
            )
    return "".join(made)


def colour(u: float, v: float) -> str:
    """A sun over waves: 0..1 from the left and from the top."""
    sun = math.hypot(u - 0.5, v - 0.38) < 0.26
    wave = v > 0.66 + 0.06 * math.sin(12 * u)
    if sun and not wave:
        return "#ffc857"
    if wave:
        return f"rgb(20,{90 + round(70 * (1 - v))},{150 + round(90 * (1 - v))})"
    return f"rgb({70 + round(90 * v)},{110 + round(60 * v)},{205})"


if __name__ == "__main__":
    main()
