"""Requests and answers of each endpoint for /openapi.json: FastAPI sees bodies as plain streams."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .answers import TYPES
from .fields import Fields, Size, properties
from .settings import Settings

BINARY = {"type": "string", "format": "binary"}
RAW_TYPES = (*sorted(set(TYPES.values())), "application/octet-stream")
PICTURE = {kind: {"schema": BINARY} for kind in sorted(set(TYPES.values()))}
ALWAYS = (401, 403, 429)
READING = (400, 408, 413, 415, 422, *ALWAYS, 503)
FOUND = (401, 403, 404, 422)
Contract = dict[int | str, dict[str, Any]]

_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}
RANGED: Contract = {
    206: {"description": "a part", "content": PICTURE},
    400: {"description": "a malformed Range", **_TEXT},
    416: {"description": "the range lies beyond the end", **_TEXT},
}

_TEXTS = {
    400: "malformed",
    401: "a key is needed",
    403: "unknown key, host or origin",
    404: "not there, or not any more",
    408: "the upload stopped",
    409: "not in this state",
    413: "too many bytes or pixels, or no plan fits",
    415: "no picture by its Content-Type",
    422: "no picture, or a bad field",
    429: "this key's limit",
    500: "it failed here",
    503: "full, not ready, or shutting down",
    504: "the timeout is over",
}
_QUERY = [
    {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in properties(Fields, texts=True).items()
]


def problems(*statuses: int) -> Contract:
    """Answers that are problem documents; those where waiting helps say how long."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}  # there by the jobs' answers
    found: Contract = {}
    for status in statuses:
        content = {"application/problem+json": {"schema": schema}}
        found[status] = {"description": _TEXTS[status], "content": content}
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def picture_body(*, many: bool = False, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    """A picture as a form or as the body itself, with its fields.

    Of the two published names of a picture one is required here: tools cannot choose between two.
    """
    name, other = ("file", "image") if many else ("image", "file")
    kind: dict[str, Any] = (
        {"type": "array", "items": BINARY, "minItems": 1, "maxItems": 64} if many else BINARY
    )
    told = {**kind, "description": f"may be called {other}, too"}
    form = _object({name: told, **properties(Fields, texts=True)}, name)
    return _extra({"multipart/form-data": form, **dict.fromkeys(RAW_TYPES, BINARY)}, headers)


def plan_body() -> dict[str, Any]:
    """As `picture_body`, or a size as JSON."""
    extra = picture_body()
    size = _object(properties(Size), "width", "height")
    extra["requestBody"]["content"]["application/json"] = {"schema": size}
    return extra


def _object(known: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": known,
        "required": list(required),
        "additionalProperties": False,
    }


def json_body(kind: type[BaseModel]) -> dict[str, Any]:
    """A body of JSON alone; what it refers to is put in place."""
    schema = kind.model_json_schema()
    known = schema.pop("$defs", {})
    for each in schema["properties"].values():
        if "$ref" in each.get("items", {}):
            each["items"] = known[each["items"]["$ref"].rpartition("/")[2]]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def completed(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """With what one server's settings decide: its models and precision, and whether it has keys."""
    parts = document.setdefault("components", {})
    parts["schemas"] |= {
        "Model": {"type": "string", "enum": list(settings.models)},
        "Precision": {"type": "string", "enum": sorted({"auto", settings.precision})},
    }
    events = document["paths"]["/jobs/{number}/events"]["get"]["responses"]["200"]
    events["content"] = {"text/event-stream": {}}  # OpenAPI 3.1 has no word for what streams
    if settings.webhook_allow:
        _add_webhook(document["paths"]["/jobs"]["post"])
    if settings.api_keys is not None:
        parts["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{"key": []}, {"bearer": []}]
        for path in ("/healthz", "/readyz"):
            document["paths"][path]["get"]["security"] = []
    return document


def _add_webhook(operation: dict[str, Any]) -> None:
    schema = {"type": "string", "format": "uri", "description": "told of the job's end"}
    operation["parameters"].append({"name": "webhook", "in": "query", "schema": schema})
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    form["properties"]["webhook"] = schema


def _extra(bodies: dict[str, Any], headers: tuple[str, ...]) -> dict[str, Any]:
    sent = [{"name": name, "in": "header", "schema": {"type": "string"}} for name in headers]
    content = {kind: {"schema": schema} for kind, schema in bodies.items()}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [*_QUERY, *sent],
    }
