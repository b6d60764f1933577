"""How much of a stranger's picture is read: every cap in one place, each with its reason.

What is beyond a cap is refused before it is decoded, or, where it is not the picture itself, left
out with a notice.
"""

from __future__ import annotations

MAX_PIXELS = 100_000_000
"""Pixels of one picture unless told otherwise: x4 makes 1.6 billion of them."""

MAX_FRAMES = 10_000
"""Frames of an animation, or pages, unless told otherwise: over five minutes at 30 a second. A 2 MB
file can claim 100,000, and each costs time before the first word."""

TOTAL_PICTURES = 20
"""All frames of an animation together may have this many times the pixels of one picture: they
are decoded once before the work begins, at about 100 million a second."""

TIFF_TILE_SIDE = 8192
"""Side of a tile in a smaller TIFF: writers use 128 to 1024; a tile is decoded whole, however
small the picture that is cut from it."""

JPEG_SCANS = 200
"""Scans of a progressive JPEG: encoders write 10, the standard has no more than 64 a component;
each one goes over the whole picture again."""

PNG_CHUNKS = 500_000
"""Chunks of a PNG: 100 million pixels in the smallest chunks that writers make are 50,000."""

TEXT_BYTES = 16 << 20
"""One text, comment or XMP packet, unpacked: workflows reach a few megabytes."""

ALL_TEXT_BYTES = 64 << 20
"""All texts of a picture together, unpacked: twenty bytes in a file can become twenty thousand."""

PROFILE_BYTES = 16 << 20
"""A colour profile, unpacked: the largest printer profiles are about four megabytes."""
