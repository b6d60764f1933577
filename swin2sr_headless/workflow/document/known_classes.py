"""Who has a node class that a host lacks."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def core_classes() -> frozenset[str]:
    """The classes that ComfyUI 0.3.64 brings itself."""
    text = (Path(__file__).parent / "core_classes.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def who_has(class_type: str, in_process: bool) -> str:
    """The sentence for a class that cannot be had here.

    in_process: whether this is a ComfyUI already, without the node packs of its users.
    """
    if class_type in core_classes() and not in_process:
        return (
            "the embedded host does not have this node of ComfyUI; run it with --comfyui DIR or "
            "--server URL"
        )
    here = "ComfyUI" if in_process else "ComfyUI 0.3.64"
    return (
        f"this is no node of {here} or of this project; if another node pack has it, run it with "
        "--server URL on a ComfyUI that has that pack"
    )
