"""Numbers with their units, for people."""

from __future__ import annotations

import math


def format_bytes(size: int, up: bool = False) -> str:
    """1.25 GB, 340 MB, 12 KB: three digits in powers of 1024; `up` rounds up instead of nearest."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            digits = 2 if size < 10 * unit else 1 if size < 100 * unit else 0
            value = size / unit
            value = math.ceil(value * 10**digits) / 10**digits if up else value
            return f"{value:.{digits}f} {name}"
    return f"{size} B"


def format_seconds(seconds: float) -> str:
    """0.3 s, 45 s, 12 min, 3 h 20 min: an estimate, to two digits or so."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 60} h"
