"""Pictures drawn from nothing: text, line art, ramps, comic-like shapes, patches and fences.

Photographs have few hard edges and flat areas; these have little else. Everything is drawn at
twice the size and reduced, so that edges are antialiased as a renderer's are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]
Rng = np.random.Generator
Draw = Callable[[Image.Image, Rng], Image.Image]

_OVERSAMPLING = 2
_LETTERS = (
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)
_MARKS = (".", ",", ";", ":", "!", "?", "-", "")


def drawn_picture(seed: int, number: int, side: int = 512) -> Pixels:
    """side x side x 3: the picture of this number, always the same for the same arguments.

    The five kinds take turns.
    """
    rng = np.random.default_rng((seed, number))
    size = side * _OVERSAMPLING
    canvas = Image.new("RGB", (size, size), _color(rng))
    kinds: tuple[Draw, ...] = (_text, _line_art, _gradients, _comic, _patches)
    canvas = kinds[number % len(kinds)](canvas, rng)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX))


def _text(canvas: Image.Image, rng: Rng) -> Image.Image:
    """Lines of random words in random sizes, slightly turned, on a plain or shaded ground."""
    if rng.random() < 0.3:
        canvas = _gradients(canvas, rng)
    draw = ImageDraw.Draw(canvas)
    ground = np.asarray(canvas).mean(axis=(0, 1))
    y = 0.0
    while y < canvas.height:
        size = int(rng.integers(20, 120))
        # legible: far from the ground in brightness
        ink = _far_from(ground, rng)
        font = ImageFont.load_default(size)
        words = " ".join(_word(rng) for _ in range(2 + 1600 // size))
        draw.text((rng.uniform(-size, size), y), words, fill=ink, font=font)
        y += size * rng.uniform(1.1, 1.8)
    return canvas.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, fillcolor=_ints(ground))


def _line_art(canvas: Image.Image, rng: Rng) -> Image.Image:
    """Polylines, arcs, hatching and grids of thin lines."""
    draw = ImageDraw.Draw(canvas)
    ground = np.asarray(canvas).mean(axis=(0, 1))
    for _ in range(int(rng.integers(20, 50))):
        ink, width = _far_from(ground, rng), int(rng.integers(2, 9))
        kind = rng.integers(4)
        if kind == 0:
            draw.line(_points(rng, canvas, int(rng.integers(2, 7))), ink, width, "curve")
        elif kind == 1:
            start, end = np.sort(rng.uniform(0, 360, 2)).tolist()
            draw.arc(_box(rng, canvas), start, end, ink, width)
        elif kind == 2:
            draw.ellipse(_box(rng, canvas), outline=ink, width=width)
        else:
            _hatch(draw, _box(rng, canvas), ink, width, rng)
    return canvas


def _gradients(canvas: Image.Image, rng: Rng) -> Image.Image:
    """A smooth ramp between colours, straight or round, with soft bands."""
    height, width = canvas.height, canvas.width
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        t = x * np.cos(angle) + y * np.sin(angle)
    else:
        t = np.hypot(x - rng.random(), y - rng.random())
    t = (t - t.min()) / (t.max() - t.min())
    if rng.random() < 0.5:
        t = 0.5 - 0.5 * np.cos(t * np.pi * rng.integers(1, 12))
    a, b = np.array(_color(rng)), np.array(_color(rng))
    ramp = a + (b - a) * t[..., None]
    return Image.fromarray(np.rint(ramp).astype(np.uint8))


def _comic(canvas: Image.Image, rng: Rng) -> Image.Image:
    """Flat shapes with dark outlines, some filled with halftone dots, and a lettered balloon."""
    draw = ImageDraw.Draw(canvas)
    dark = int(rng.integers(40))
    outline = (dark, dark, dark)
    for _ in range(int(rng.integers(8, 25))):
        fill, width = _color(rng), int(rng.integers(3, 14))
        kind = rng.integers(4)
        if kind == 0:
            points = _points(rng, canvas, int(rng.integers(3, 8)))
            draw.polygon(points, fill, outline, width)
        elif kind == 1:
            draw.ellipse(_box(rng, canvas), fill, outline, width)
        elif kind == 2:
            draw.rounded_rectangle(_box(rng, canvas), 30, fill, outline, width)
        else:
            _dots(draw, _box(rng, canvas), fill, rng)
    left, top, right, bottom = _box(rng, canvas)
    draw.ellipse((left, top, right, bottom), (250, 250, 250), outline, 6)
    font = ImageFont.load_default(int(rng.integers(24, 60)))
    middle = ((left + right) / 2, (top + bottom) / 2)
    draw.text(middle, f"{_word(rng).upper()}!", outline, font, "mm")
    return canvas


def _patches(canvas: Image.Image, rng: Rng) -> Image.Image:
    """Rectangles of plain colours and fences of hard stripes, upright."""
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(6, 16))):
        left, top, right, bottom = _box(rng, canvas)
        ink = plain_color(rng)
        if rng.random() < 0.6:
            draw.rectangle((left, top, right, bottom), ink)
            continue
        pair = ((0, 0, 0), (255, 255, 255)) if rng.random() < 0.5 else (ink, plain_color(rng))
        width = int(rng.integers(6, 50))
        draw.rectangle((left, top, right, bottom), pair[0])
        if rng.random() < 0.5:
            for x in np.arange(left, right - width, 2 * width):
                draw.rectangle((x, top, x + width - 1, bottom), pair[1])
        else:
            for y in np.arange(top, bottom - width, 2 * width):
                draw.rectangle((left, y, right, y + width - 1), pair[1])
    return canvas


def _hatch(
    draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Color, width: int, rng: Rng
) -> None:
    left, top, right, bottom = box
    step, lean = int(rng.integers(2, 6)) * width, rng.uniform(-1, 1)
    for x in np.arange(left, right, step):
        draw.line(((x, top), (x + lean * (bottom - top), bottom)), ink, max(1, width // 2))


def _dots(draw: ImageDraw.ImageDraw, box: tuple[float, ...], ink: Color, rng: Rng) -> None:
    left, top, right, bottom = box
    step = int(rng.integers(12, 40))
    radius = step * rng.uniform(0.2, 0.45)
    for row, y in enumerate(np.arange(top, bottom, step)):
        for x in np.arange(left + row % 2 * step / 2, right, step):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), ink)


def _points(rng: Rng, canvas: Image.Image, count: int) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in rng.uniform(0, canvas.width, (count, 2))]


def _box(rng: Rng, canvas: Image.Image) -> tuple[float, float, float, float]:
    """left, top, right, bottom, at least 40 px wide and high; may reach over the canvas's edge."""
    left, top = rng.uniform(-40, canvas.width - 80, 2)
    width, height = rng.uniform(40, canvas.width / 2, 2)
    return float(left), float(top), float(left + width), float(top + height)


def _word(rng: Rng) -> str:
    letters = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 10))))
    return letters + str(rng.choice(_MARKS))


def _color(rng: Rng) -> Color:
    """Any colour; one in four is a grey, black and white among them."""
    if rng.random() < 0.25:
        grey = (0, 255, int(rng.integers(256)))[rng.integers(3)]
        return grey, grey, grey
    return _ints(rng.integers(0, 256, 3))


def plain_color(rng: Rng) -> Color:
    """A corner of the RGB cube, a grey or any colour: what flat patches are made of.

    Corners are one in five: where they were most of them, a network drew its colours to them.
    """
    kind = rng.random()
    if kind < 0.2:
        return _ints(255 * rng.integers(0, 2, 3))
    return _ints(np.repeat(rng.integers(0, 256), 3)) if kind < 0.5 else _color(rng)


def _far_from(ground: NDArray[np.floating], rng: Rng) -> Color:
    """A colour that stands out from the ground."""
    for _ in range(20):
        color = _color(rng)
        if abs(float(np.mean(color)) - float(np.mean(ground))) > 60:
            return color
    return (0, 0, 0) if float(np.mean(ground)) > 127 else (255, 255, 255)


def _ints(values: NDArray[np.generic]) -> Color:
    red, green, blue = (int(value) for value in values)
    return red, green, blue
