"""What the schemas of all nodes share, and what only newer versions of ComfyUI understand."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from comfy_api.latest import io

CATEGORY = "image/upscaling/Swin2SR"

Input = TypeVar("Input", bound=io.Input)


def newer_fields(**values: Any) -> dict[str, Any]:
    """Those of the schema's fields that this version of ComfyUI has: others would be refused."""
    known = {each.name for each in fields(io.Schema)}
    return {name: value for name, value in values.items() if name in known}


def advanced(each: Input) -> Input:
    """Mark an input as one that newer pages fold away; older ones show it as usual."""
    each.extra_dict["advanced"] = True
    return each
