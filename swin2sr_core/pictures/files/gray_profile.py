"""An ICC profile for grey as one for RGB: formats that store grey as RGB want that kind.

Layout as in ICC.1:2022: a header of 128 bytes, a table of tags, their contents.
"""

from __future__ import annotations

import struct

_HEADER_BYTES = 128
_KEPT = (b"desc", b"cprt", b"wtpt", b"chad", b"dmnd", b"dmdd")
_COLORANTS = {  # sRGB's, adapted to D50
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}


def as_rgb(profile: bytes) -> bytes | None:
    """A profile whose equal red, green and blue look as this profile's grey; None if damaged.

    The curve of grey becomes that of all three; white is the sum of the three colours.
    """
    tags = _tags(profile)
    curve = tags.get(b"kTRC")
    if curve is None or profile[20:24] not in (b"XYZ ", b"Lab "):
        return None
    made = {name: tags[name] for name in _KEPT if name in tags}
    made |= {name: _xyz(values) for name, values in _COLORANTS.items()}
    shared = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _assembled(profile[:_HEADER_BYTES], made | shared)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Contents by name; those that lie outside of the profile are passed over."""
    if len(profile) < _HEADER_BYTES + 4:
        return {}
    found = {}
    count = min(int.from_bytes(profile[128:132], "big"), (len(profile) - 132) // 12)
    for at in range(132, 132 + 12 * count, 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        if start + size <= len(profile):
            found[name] = profile[start : start + size]
    return found


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _assembled(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, contents = b"", b""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(contents)
            contents += content + b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    body = len(tags).to_bytes(4, "big") + table + contents
    # another profile than it was: RGB, XYZ, and without the old one's fingerprint
    head = bytearray(header)
    head[0:4] = (_HEADER_BYTES + len(body)).to_bytes(4, "big")
    head[16:24] = b"RGB XYZ "
    head[84:100] = bytes(16)
    return bytes(head) + body
