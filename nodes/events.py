"""The page: routes on ComfyUI's web server, and messages to whoever started the run.

Without a server (the workflow runner, tests) there is no page to tell, and nothing happens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..swin2sr_core.errors import Swin2SRError
from ..swin2sr_core.sentences import glossary

RUN_EVENT = "swin2sr.run"
DOWNLOAD_EVENT = "swin2sr.download"

Message = dict[str, object]
"""What a page is told, as JSON."""


def server() -> Any | None:
    """ComfyUI's own server in this process, if there is one; nothing is imported to find out."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def tell(event: str, data: Mapping[str, object], everybody: bool = False) -> None:
    """Send `data` to the client that started the run, or to every page that is open."""
    found = server()
    client = getattr(found, "client_id", None)
    if found is not None and (everybody or client is not None):
        found.send_sync(event, dict(data), None if everybody else client)


def worded(message: Mapping[str, object], *more: object) -> Message:
    """The message with `words`: of each sentence in it, or in `more`, the key and the values.

    They stand by the English text, which is all that who knows no words shows.
    """
    found = glossary(message, more)
    return {**message, "words": found} if found else dict(message)


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell the page in its own words what ComfyUI will tell it in English: why a node failed."""
    try:
        yield
    except Swin2SRError as error:
        prompt, node = executing_node()
        failed = {"kind": "failed", "node": node, "prompt": prompt, "sentence": str(error)}
        tell(RUN_EVENT, worded(failed))
        raise


def kept(last: Message) -> dict[str, list[Message]]:
    """A node's `ui`, which ComfyUI keeps with its outputs: the last message of the run.

    So the page can tell how a picture was made when nothing runs: a prompt that is answered from
    the cache, or a workflow that was left and is opened again.
    """
    return {"swin2sr": [last]}


def executing_node() -> tuple[str, str]:
    """The ids of the running prompt and node ("5"; "7:5" in a subgraph); "" where unknown."""
    utils = sys.modules.get("comfy_execution.utils")
    context = utils.get_executing_context() if utils is not None else None
    if context is None:
        return "", ""
    return str(context.prompt_id), str(context.node_id)
