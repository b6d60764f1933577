"""Files and requests of strangers who mean harm, the same for the same seed."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from http_service import encoded, noise

NAMES = (
    "../../x",
    "..\\..\\x.png",
    "/etc/passwd",
    "C:\\windows\\x.png",
    "a\0.png",
    "a\r\nSet-Cookie: b",
    "x" * 9000,
    "\u202egnp.exe",
    "",
    "CON",
    "%2e%2e%2fx",
    "${HOME}`id`",
)


HARMLESS = (
    "PNG whose text grows",  # it is left out
    "PNG whose profile grows",
    "TIFF that leads to itself",  # it has one page
)


@dataclass(frozen=True)
class Hostile:
    """kind: its class; request: what httpx sends. may_pass: it may be a picture all the same."""

    kind: str
    request: dict[str, Any] = field(repr=False)
    may_pass: bool = False


def hostile_uploads(seed: int = 0, each: int = 1) -> Iterator[Hostile]:
    """About 50 times `each` requests to /upscale, and every fixed one once."""
    chance = random.Random(seed)
    for kind, data in _pictures().items():
        for _ in range(3 * each):
            cut = chance.randrange(1, max(2, len(data) * 9 // 10))
            yield Hostile(f"truncated {kind}", _file(data[:cut]))
        for _ in range(3 * each):
            yield Hostile(f"flipped {kind}", _file(_flipped(data, chance)), may_pass=True)
    for _ in range(4 * each):
        yield Hostile("no picture", _file(chance.randbytes(chance.randrange(4000))))
    for _ in range(2 * each):
        boundary = {"content-type": "multipart/form-data; boundary=b"}
        body = b"--b\r\n" + chance.randbytes(chance.randrange(500))
        yield Hostile("no form", {"content": body, "headers": boundary})
    for kind, data in bombs().items():
        for fields in ({}, {"format": "tiff"}):  # the latter has all pages read
            yield Hostile(kind, {**_file(data), "data": fields}, may_pass=kind in HARMLESS)
    for kind, data in _others().items():
        yield Hostile(kind, _file(data))
    for name in NAMES:
        yield Hostile("name", {"files": {"image": (name, b"no picture")}})
    yield from _forms()


def _file(data: bytes) -> dict[str, Any]:
    return {"files": {"image": ("a.png", data)}}


def _pictures() -> dict[str, bytes]:
    frames = [noise(10, 7, number) for number in range(3)]
    several = {"save_all": True, "append_images": frames[1:]}
    return {
        "png": encoded(noise(20, 13)),
        "apng": encoded(frames[0], "PNG", **several),
        "jpeg": encoded(noise(20, 13), "JPEG"),
        "progressive jpeg": encoded(noise(20, 13), "JPEG", progressive=True),
        "webp": encoded(noise(20, 13), "WEBP"),
        "tiff": encoded(noise(20, 13), "TIFF", compression="tiff_lzw"),
        "gif": encoded(frames[0], "GIF", **several),
        "bmp": encoded(noise(20, 13), "BMP"),
    }


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 9)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


# -- bombs: small files that ask for much --------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more)


def bombs() -> dict[str, bytes]:
    """By what they are."""
    zeros = zlib.compress(bytes(64 << 20), 9)
    end = chunk(b"IEND", b"")
    small = chunk(b"IDAT", zlib.compress(bytes(3 * 8 * 8 + 8)))
    text = chunk(b"zTXt", b"a\0\0" + zeros)
    profile = chunk(b"iCCP", b"a\0\0" + zeros)
    flood = bytearray(encoded(noise(16, 16), "JPEG"))
    at = flood.index(b"\xff\xc0") + 5
    flood[at : at + 4] = struct.pack(">HH", 65500, 65500)
    bitmap = bytearray(encoded(noise(8, 8), "BMP"))
    bitmap[18:26] = struct.pack("<ii", 1 << 30, -(1 << 30))
    return {
        "50-byte PNG of 10^5 x 10^5": _png(10**5, 10**5, chunk(b"IDAT", b""))[:50],
        "PNG of 10^5 x 10^5": _png(10**5, 10**5, chunk(b"IDAT", zeros), end),
        "PNG whose text grows": _png(8, 8, text, small, end),
        "PNG whose profile grows": _png(8, 8, profile, small, end),
        "APNG that tells of 10^9 frames": _png(
            8, 8, chunk(b"acTL", struct.pack(">II", 10**9, 0)), small, end
        ),
        "pixel-flood JPEG": bytes(flood),
        "GIF of 10^5 frames": _gif(10**5),
        "BMP of 2^30 x 2^30": bytes(bitmap),
        "TIFF that leads to itself": _tiff(next_at=8),
        "TIFF of 2^31 x 2^31": _tiff(side=2**31 - 1),
        "TIFF of 10^9 strips": _tiff(strips=10**9),
    }


def _gif(frames: int) -> bytes:
    """Of one pixel each."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return head + frame * frames + b"\x3b"


def _tiff(side: int = 8, strips: int = 1, next_at: int = 0) -> bytes:
    entries = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, strips, 8),
        (278, 4, 1, side),
        (279, 4, strips, 64),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    directory = struct.pack("<H", len(entries)) + body + struct.pack("<I", next_at)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(80)


# -- what is something else ------------------------------------------------------------------------


def _others() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.png", bytes(10 << 20))
    return {
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1"/></svg>',
        "html": b"<!doctype html><script>alert(1)</script>",
        "zip": archive.getvalue(),
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\nshowpage\n",
        "elf": b"\x7fELF" + bytes(200),
        "mvg": b"push graphic-context\nfill 'url(http://127.0.0.1/)'\npop graphic-context",
        "GIF that is a script": b"GIF89a/*" + b"\xff" * 30 + b"*/=1;alert(1)//",
        "JPEG that is a page": b"\xff\xd8\xff\xe0\0\x10JFIF\0<script>alert(1)</script>",
        "PNG that is an archive": _png(8, 8)[:33] + archive.getvalue(),
        "mp4": b"\0\0\0\x18ftypmp42" + bytes(300),
        "nothing": b"",
    }


def _forms() -> Iterator[Hostile]:
    def part(name: str, data: bytes = b"1", more: str = "") -> bytes:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        return head.encode() + data + b"\r\n"

    kind = {"content-type": "multipart/form-data; boundary=b"}
    bodies = {
        "10^4 parts": b"".join(part(f"a{number}") for number in range(10**4)) + b"--b--",
        "10^4 files": part("file", b"x", '; filename="a"') * 10**4 + b"--b--",
        "a header without end": b"--b\r\nX: " + b"a" * (1 << 20),
        "10^5 headers": b"--b\r\n" + b"X: a\r\n" * 10**5 + b"\r\n1\r\n--b--",
        "a field of 10 MB": part("scale", bytes(10 << 20)) + b"--b--",
        "a form that ends early": part("image", b"x", '; filename="a"')[:-5],
        "a name that is a path": part("../../x", b"1", '; filename="../../x"') + b"--b--",
        "an unknown field": part("__class__") + b"--b--",
    }
    for name, body in bodies.items():
        yield Hostile(name, {"content": body, "headers": kind})
    whole = encoded(noise(8, 8))
    for headers in (
        {"content-type": "multipart/form-data"},
        {"content-type": "multipart/mixed; boundary=b"},
        {"content-type": "text/plain"},
        {"content-type": "application/json"},
        {"content-type": "image/png", "content-encoding": "gzip"},
        {},
    ):
        pass_ = headers.get("content-type") == "image/png"
        yield Hostile("a wrong type", {"content": whole, "headers": headers}, may_pass=pass_)
    yield Hostile("an address", {"json": {"url": "http://169.254.169.254/latest/meta-data"}})
