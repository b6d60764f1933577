"""GET /swin2sr/plan: what would happen, for the page to show before anything runs.

Read-only and quick. It asks for what the widgets say, and gets JSON: 200 with the plans, or 400
with one sentence. Plans are made on a thread of their own, so that a hundred requests at once do
not hold up ComfyUI's server.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..swin2sr_core.errors import Swin2SRError
from ..swin2sr_core.sentences import sentence
from . import events
from .plan_answer import Question, answer

if TYPE_CHECKING:
    from aiohttp import web

logger = logging.getLogger(__name__)

PATH = "/swin2sr/plan"

_planner = ThreadPoolExecutor(1, thread_name_prefix="swin2sr-plan")


def register() -> None:
    """Add the route to ComfyUI's server, if there is one."""
    server = events.server()
    if server is not None:
        server.routes.get(PATH)(respond)


async def respond(request: web.Request) -> web.Response:
    """Answer one request."""
    from aiohttp import web  # it comes with ComfyUI's server, and is needed nowhere else

    try:
        query = dict(request.query)
        plans = await asyncio.get_running_loop().run_in_executor(_planner, _answered, query)
    except Swin2SRError as error:
        return web.json_response(events.worded({"error": str(error)}), status=400)
    except (OSError, ValueError):  # ValueError: a name that no file can have, bad UTF-8
        logger.info("a model's file went away while it was looked at")
        gone = sentence(
            "model_unreadable", "the model's file cannot be read any more; choose another model"
        )
        return web.json_response(events.worded({"error": gone}), status=400)
    return web.json_response(events.worded(plans))


def _answered(query: dict[str, str]) -> dict[str, object]:
    return answer(Question.parse(query))
