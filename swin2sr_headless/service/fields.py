"""The fields of a request and what describes a picture without one, as OpenAPI tells them.

`options.request_of` is what checks them; tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from swin2sr_core.planning.choices import MAX_MEGAPIXELS, MAX_SCALE, MAX_SHARPEN, Edge, Strategy

from .options import Answer, Format

MAX_SIDE = 1 << 17
_WORDS = ("yes", "no", "on", "off")
_EMPTY = {"const": ""}
_SERVERS = ("model", "precision")  # their choices are the server's


class Fields(BaseModel):
    """What is wanted of a picture; each may be in the form, the URL, or JSON."""

    model_config = ConfigDict(extra="forbid")

    scale: float | None = Field(None, gt=0, le=MAX_SCALE, description="enlargement (4)")
    longest_side: int | None = Field(
        None, ge=1, le=MAX_SIDE, description="of the result in pixels, instead of scale"
    )
    megapixels: float | None = Field(
        None,
        gt=0,
        le=MAX_MEGAPIXELS,
        description="of the result (1024x1024 each), instead of scale",
    )
    model: str | None = Field(None, description="one of /models (the first)")
    strategy: Strategy | None = Field(None, description="how the picture is cut up (auto)")
    tile: int | None = Field(None, ge=0, le=1 << 16, description="tiled: side in input pixels")
    overlap: int | None = Field(None, ge=0, le=1 << 12, description="tiled: shared input pixels")
    precision: str | None = Field(None, description="the server's own, or auto")
    sharpen: float | None = Field(None, ge=0, le=MAX_SHARPEN, description="without halos (0)")
    edge: Edge | None = Field(None, description="what lies beyond the border (reflect)")
    format: Format | None = Field(None, description="of the result; same: the input's (png)")
    quality: int | None = Field(None, ge=0, le=100, description="of JPEG (95) and WebP (lossless)")
    bits: Literal[8, 16] | None = Field(None, description="per sample; 16: PNG and TIFF")
    max_input_side: int | None = Field(
        None, ge=0, le=1 << 16, description="reduce larger pictures first (0: never)"
    )
    faces: bool | None = Field(None, description="compute faces again with a better model")
    keep_metadata: bool | None = Field(None, description="EXIF, XMP and texts of the input (false)")
    batch_mode: bool | None = Field(None, description="all frames (true), or the first")
    response: Answer | None = Field(None, description="what is answered")
    timeout: float | None = Field(None, gt=0, le=86400, description="seconds until 504 (none)")


class Size(Fields):
    """A picture that is only told of, for its plan."""

    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    frames: int = Field(1, ge=1, le=10000)
    channels: int = Field(3, ge=1, le=4)


def properties(model: type[BaseModel], *, texts: bool = False) -> dict[str, dict[str, Any]]:
    """A model's fields as JSON schemas, where one that is left out is not null but missing.

    texts: as forms and addresses tell them, with more words for true and false, and empty ones
    for what is not meant.
    """
    found = {}
    for name, schema in model.model_json_schema()["properties"].items():
        kind = next((each for each in schema.get("anyOf", []) if each != {"type": "null"}), {})
        plain = {k: v for k, v in schema.items() if k not in ("anyOf", "default", "title")}
        description = {"description": plain.pop("description")} if "description" in plain else {}
        kind = {**kind, **plain}
        if name in _SERVERS:
            kind = {"$ref": f"#/components/schemas/{name.title()}"}
        if texts and kind == {"type": "boolean"}:
            kind = {"enum": [True, False, 1, 0, *_WORDS]}
        found[name] = {**({"anyOf": [kind, _EMPTY]} if texts else kind), **description}
    return found
