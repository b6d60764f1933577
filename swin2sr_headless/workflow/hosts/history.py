"""What a server remembers of a prompt: its history, and its place in the queue."""

from __future__ import annotations

from collections.abc import Mapping

from ..document.graph import Graph, parse_api
from ..problems import HostError
from .http_client import Answer, Client


def entry_of(client: Client, prompt_id: str) -> Mapping[str, object] | None:
    """What came of a prompt that has ended; None for others. Raises HostError."""
    entry = asked(client, f"/history/{prompt_id}").get(prompt_id)
    return entry if isinstance(entry, Mapping) else None


def queued(client: Client, prompt_id: str) -> list[object] | None:
    """A prompt's place in the queue, running ones included; None where it is in none.

    Raises HostError.
    """
    queue = asked(client, "/queue")
    items = [queue.get(part) for part in ("queue_running", "queue_pending")]
    lists = [each for each in items if isinstance(each, list)]
    if len(lists) != 2:
        raise HostError(
            f"what answers at {client.url} is no ComfyUI server: its queue has no lists"
        )
    places = (entry for each in lists for entry in each)
    return next((e for e in places if isinstance(e, list) and prompt_id in e), None)


def recorded(client: Client, prompt_id: str) -> Graph:
    """The graph of a prompt that the server knows. Raises HostError."""
    entry = entry_of(client, prompt_id)
    place = entry.get("prompt") if entry is not None else queued(client, prompt_id)
    if not isinstance(place, list) or len(place) < 3 or not isinstance(place[2], dict):
        raise HostError(
            f"the server at {client.url} does not know the prompt {prompt_id}; it may have been "
            "started anew. Run the workflow again"
        )
    return parse_api(place[2])


def asked(client: Client, path: str) -> dict[str, object]:
    """GET; an error status is a HostError."""
    try:
        return client.get(path)
    except Answer as answer:
        raise HostError(
            f"the server at {client.url} answered {path} with {answer}; is it a ComfyUI?"
        ) from answer
