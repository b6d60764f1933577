"""The page: routes on ComfyUI's web server, and messages to whoever started the run.

Without a server (the workflow runner, tests) there is no page to tell, and nothing happens.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

RUN_EVENT = "swin2sr.run"
DOWNLOAD_EVENT = "swin2sr.download"


def server() -> Any | None:
    """ComfyUI's own server in this process, if there is one; nothing is imported to find out."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def tell(event: str, data: Mapping[str, object], everybody: bool = False) -> None:
    """Send `data` to the client that started the run, or to every page that is open."""
    found = server()
    client = getattr(found, "client_id", None)
    if found is not None and (everybody or client is not None):
        found.send_sync(event, dict(data), None if everybody else client)


def executing_node() -> tuple[str, str]:
    """The ids of the running prompt and node ("5"; "7:5" in a subgraph); "" where unknown."""
    utils = sys.modules.get("comfy_execution.utils")
    context = utils.get_executing_context() if utils is not None else None
    if context is None:
        return "", ""
    return str(context.prompt_id), str(context.node_id)
