"""What is answered, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

State = Literal["queued", "running", "done", "failed", "cancelled"]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


Words = Annotated[
    dict[str, dict[str, Any]],
    Field(description="of each sentence its key in /locales and the values within"),
]


class ProblemDocument(BaseModel):
    """application/problem+json (RFC 9457)."""

    type: str = Field(description="urn:swin2sr:KIND, for programs")
    title: str
    status: int
    detail: str = Field(description="a sentence to show")
    words: Words


class Report(BaseModel):
    """What was done."""

    status: Literal["success"]
    input_size: Pair
    output_size: Pair
    frames: int
    model: str
    precision: str
    device: str
    strategy: str
    inference_time_ms: float
    gpu_memory_used_gb: float
    peak_memory_gb: float | None
    forecast_bytes: int
    measured_bytes: int | None
    seconds_forecast: float | None
    notices: list[str]
    words: Words
    fallbacks: list[str]
    plan: dict[str, Any]
    result: str = Field(description="where the picture is for a while")


class Header(BaseModel):
    """What a file's header says."""

    width: int
    height: int
    channels: int
    bits: int
    frames: int
    format: str | None = None
    suffix: str


class QueueState(BaseModel):
    """Pictures, and seconds until a new one would start."""

    waiting: int
    running: int
    seconds: float


class PlanDocument(BaseModel):
    """How a picture would be computed."""

    status: Literal["ok"]
    picture: Header
    input_size: Pair
    output_size: Pair
    strategy: str
    exact: bool
    notices: list[str]
    words: Words
    plan: dict[str, Any]
    bytes: int
    seconds: float | None
    queue: QueueState


class PictureState(BaseModel):
    """One picture of a job. link: where it is had without a key, for ten minutes."""

    number: int
    name: str
    state: State
    report: Report | None
    problem: ProblemDocument | None
    link: str | None


class JobDocument(BaseModel):
    """A job as it stands; times are Unix seconds."""

    id: str
    state: State
    created: float
    ended: float | None
    position: int | None = None
    seconds_left: float | None = None
    progress: float | None = None
    pictures: list[PictureState]
    events: str
    result: str
    link: str | None


class Cancelling(BaseModel):
    """A job that was told to end."""

    status: Literal["ok"]
    id: str
    state: Literal["cancelling"]


class ModelRow(BaseModel):
    """A model that is served; nulls until a worker has it."""

    name: str
    loaded: bool
    scale: float | None
    precision: str | None
    device: str | None
    licence: str | None
    purpose: str | None = Field(alias="for")


class ModelList(BaseModel):
    """The default first."""

    status: Literal["ok"]
    models: list[ModelRow]


class Health(BaseModel):
    """It answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether pictures are taken, and why not."""

    ready: bool
    reasons: list[str]
