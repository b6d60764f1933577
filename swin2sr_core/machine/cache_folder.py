"""Where this user's computer keeps what is worth remembering. Needs no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_dir() -> Path | None:
    """The folder for what is worth remembering: SWIN2SR_CACHE_DIR, or the platform's cache.

    None where the system names no home folder. It need not exist.
    """
    if chosen := os.environ.get("SWIN2SR_CACHE_DIR"):
        return Path(chosen).expanduser()
    try:
        return cache_folder(sys.platform, os.environ, Path.home())
    except RuntimeError:
        return None


def cache_folder(platform: str, environment: Mapping[str, str], home: Path) -> Path:
    """Where programs keep what can be fetched again: `platform` is a value of sys.platform."""
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "swin2sr"
    if platform == "darwin":
        return home / "Library" / "Caches" / "swin2sr"
    cache = environment.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home / ".cache") / "swin2sr"
