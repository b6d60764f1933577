"""The service as an application of Ray Serve, for `serve deploy` and KubeRay's RayService.

    import_path: swin2sr_headless.ray.service:app

It is `swin2sr serve --ray auto` behind Serve's proxy; options are the variables SWIN2SR_*, and
SWIN2SR_WORKERS is how many actors there are.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ray import serve

from ..cli.arguments import Parser
from ..cli.serve import settings_of
from ..cli.serve_options import add_options, environment_words
from ..service.app import create_app
from ..service.server import pool_of
from ..service.spool import Spool

if TYPE_CHECKING:
    from fastapi import FastAPI

_held = ExitStack()
"""Keeps the spool from others while this replica lives."""


def build() -> FastAPI:
    """The application of a replica. Raises InputError."""
    parser = Parser(add_help=False)
    add_options(parser)
    words = environment_words({"SWIN2SR_HOST": "0.0.0.0", "SWIN2SR_RAY": "auto", **os.environ})
    settings = settings_of(parser.parse_args(words))
    _held.enter_context(Spool(settings.spool, settings.quota, settings.keep).held())
    return create_app(settings, pool_of(settings))


app = serve.deployment(
    name="swin2sr",
    num_replicas=1,  # jobs are in its spool
    max_ongoing_requests=256,  # how much it takes is the admission's to say
    graceful_shutdown_timeout_s=90,
    ray_actor_options={"num_cpus": 0.5},
)(serve.ingress(build)()).bind()
