"""AUTOMATIC1111's endpoints for its clients (`--compat a1111`): pictures in base64 in JSON.

What it does that is not done here is refused in a sentence, and never left out silently; names of
upscalers that are none of ours stand for the first model, which `html_info` tells.
"""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import AsyncIterator
from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError

from .answers import report_of
from .contracts import READING, json_body, problems
from .desk import Desk, Order
from .errors import Problem
from .uploads import MAX_PARTS, Reading, read_raw, timed
from .upscaling import made

router = APIRouter(prefix="/sdapi/v1")
MOST_BYTES = 64 << 20
"""Of a request: base64 is taken apart in memory."""
_SHAPE = 0.01
_NOT_DONE = ("gfpgan_visibility", "codeformer_visibility", "extras_upscaler_2_visibility")


class Wanted(BaseModel):
    """What both requests share. resize_mode 0: by upscaling_resize; 1: to cover w x h."""

    resize_mode: Literal[0, 1] = 0
    upscaling_resize: float = Field(2, gt=0, le=64)
    upscaling_resize_w: int = Field(512, ge=1)
    upscaling_resize_h: int = Field(512, ge=1)
    upscaling_crop: bool = True
    upscaler_1: str = "None"
    gfpgan_visibility: float = Field(0, ge=0, le=1)
    codeformer_visibility: float = Field(0, ge=0, le=1)
    extras_upscaler_2_visibility: float = Field(0, ge=0, le=1)


class Single(Wanted):
    image: str


class Named(BaseModel):
    data: str
    name: str


class Batch(Wanted):
    imageList: list[Named] = Field(min_length=1, max_length=MAX_PARTS)


class SingleAnswer(BaseModel):
    html_info: str
    image: str


class BatchAnswer(BaseModel):
    html_info: str
    images: list[str]


Body = TypeVar("Body", Single, Batch)
_ANSWERS = problems(*READING, 500)


@router.get("/upscalers", responses=problems(401, 403))
async def upscalers(request: Request) -> list[dict[str, Any]]:
    """The models that are served."""
    desk: Desk = request.app.state.desk
    none = {"model_name": None, "model_path": None, "model_url": None}
    loaded = desk.dispatcher.pool.models
    scales = {name: facts.prospect["config"]["scale"] for name, facts in loaded.items()}
    return [{"name": name, **none, "scale": scales.get(name)} for name in desk.settings.models]


@router.post(
    "/extra-single-image",
    response_model=SingleAnswer,
    openapi_extra=json_body(Single),
    responses=_ANSWERS,
)
async def single(request: Request) -> SingleAnswer:
    """Enlarge one picture; the answer is a PNG."""
    wanted = await _read(request, Single)
    image, info = await _upscaled(request, wanted, wanted.image)
    return SingleAnswer(html_info=info, image=image)


@router.post(
    "/extra-batch-images",
    response_model=BatchAnswer,
    openapi_extra=json_body(Batch),
    responses=_ANSWERS,
)
async def batch(request: Request) -> BatchAnswer:
    """Enlarge pictures, one after the other; the answers are PNGs."""
    wanted = await _read(request, Batch)
    results = [await _upscaled(request, wanted, each.data) for each in wanted.imageList]
    return BatchAnswer(html_info=results[-1][1], images=[image for image, _ in results])


async def _read(request: Request, kind: type[Body]) -> Body:
    """Raises Problem 422 for what is no such request, or asks for what is not done here."""
    reading: Reading = request.app.state.desk.settings.reading
    most = min(reading.max_bytes, MOST_BYTES)
    chunks = timed(request.stream(), Reading(most, reading.idle, reading.total))
    body = b"".join([chunk async for chunk in chunks])
    try:
        wanted = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Problem(422, "bad-field", f"{where or 'the body'}: {first['msg']}") from error
    for name in _NOT_DONE:
        if getattr(wanted, name):
            raise Problem(422, "bad-field", f"{name}: this is not done here; send 0")
    return wanted


async def _upscaled(request: Request, wanted: Wanted, data: str) -> tuple[str, str]:
    """The result in base64, and what to say of it."""
    desk: Desk = request.app.state.desk
    models = desk.settings.models
    model = wanted.upscaler_1 if wanted.upscaler_1 in models else models[0]
    fields = {"model": model, "format": "png", "batch_mode": "false"}
    form = await read_raw(_decoded(data), desk.spool)
    try:
        scale = wanted.upscaling_resize
        if wanted.resize_mode == 1:
            scale = _scale(wanted, await desk.look(form.files[0], desk.wanted(fields)))
        order = await desk.look(form.files[0], desk.wanted({**fields, "scale": f"{scale:.9g}"}))
        ticket, done = await made(desk, order, request)
    finally:
        form.discard()
    try:
        image = base64.b64encode(ticket.task.output.read_bytes()).decode()
    finally:
        ticket.task.output.unlink(missing_ok=True)
    report = report_of(order, ticket, done)
    told = f"{model}, {' x '.join(map(str, report['output_size']))}"
    if model != wanted.upscaler_1:
        told += f" (there is no upscaler {wanted.upscaler_1[:40]} here)"
    return image, f"<p>{html.escape(told)}</p>"


def _scale(wanted: Wanted, order: Order) -> float:
    """That covers w x h. Raises Problem 422 where the result would have to be cropped."""
    width, height = order.header["width"], order.header["height"]
    across, down = wanted.upscaling_resize_w / width, wanted.upscaling_resize_h / height
    if wanted.upscaling_crop and abs(across / down - 1) > _SHAPE:
        raise Problem(
            422,
            "bad-field",
            f"upscaling_crop: pictures are not cropped here, and {width} x {height} has another "
            "shape than upscaling_resize_w x upscaling_resize_h; send upscaling_crop=false",
        )
    return max(across, down)


async def _decoded(data: str) -> AsyncIterator[bytes]:
    """Raises Problem 422 for what is no base64, such as an address: none is ever fetched."""
    if data.startswith("data:"):
        data = data.partition(",")[2]
    try:
        yield base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "bad-picture", "a picture is sent as base64 of its file") from error
