"""The application: endpoints and what they share. Nothing here computes or decodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from swin2sr_core import __version__

from . import a1111, job_routes, local_route, page_routes, plans, upscaling
from .access import Access
from .answers import problem_answer
from .contracts import completed
from .desk import Desk
from .dispatcher import Dispatcher
from .errors import Problem
from .gate import Gate
from .guard import Guard
from .job_document import job_document
from .job_store import JobStore
from .jobs import Jobs
from .keys import Keys
from .metrics import Metrics
from .metrics import router as metrics_router
from .pool import Pool
from .settings import Settings
from .spool import Spool
from .webhooks import Webhooks

_ROUTERS = (upscaling.router, job_routes.router, plans.router, metrics_router)


def create_app(settings: Settings, pool: Pool) -> FastAPI:
    """The service; its children start and end with the application's lifespan."""
    spool = Spool(settings.spool, settings.quota, settings.keep)
    desk = Desk(settings, spool, Gate(), Dispatcher(pool, settings.limits))

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await desk.gate.start()
        await pool.start()
        jobs = app.state.jobs = Jobs(desk, JobStore(settings.spool / "jobs.sqlite"))
        jobs.webhooks = Webhooks(
            jobs.store,
            settings.webhook_allow,
            settings.webhook_secret,
            lambda job: job_document(jobs, access, job),
        )
        jobs.start()
        yield
        await jobs.stop()
        await pool.stop()
        await desk.gate.stop()

    app = FastAPI(
        title="Swin2SR", version=__version__, lifespan=life, docs_url=None, redoc_url=None
    )
    app.state.desk = desk
    metrics = app.state.metrics = Metrics(desk.dispatcher)
    desk.dispatcher.on_done = metrics.made
    _add_problems(app)
    access = app.state.access = _access(settings, app)
    app.add_middleware(Guard, settings=settings, access=access, requests=metrics.requests)
    for router in (*_ROUTERS, *([a1111.router] if settings.compat == "a1111" else [])):
        app.include_router(router)
    if settings.local_assets is not None:
        local_route.add_to(app, settings.local_assets)
    page_routes.add_to(app)
    plain = app.openapi
    app.openapi = lambda: completed(plain(), settings)
    return app


def _access(settings: Settings, app: FastAPI) -> Access | None:
    if settings.api_keys is None:
        return None
    keys = Keys.read(settings.api_keys, settings.key_rate, settings.key_bytes)
    return Access(keys, lambda owner: app.state.jobs.store.held(owner))


def _add_problems(app: FastAPI) -> None:
    """Every error as a problem document."""

    @app.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> Response:
        return problem_answer(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        answer = problem_answer(Problem(error.status_code, "http", str(error.detail)))
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(_methods(request.url.path))
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem_answer(Problem(422, "bad-field", f"{where}: {first['msg']}"))

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> Response:
        return problem_answer(Problem(500, "unexpected", "something unexpected failed here"))


def _methods(path: str) -> list[str]:
    """All that a path takes: Starlette tells those of the first route alone."""
    routes = [each for router in _ROUTERS for each in router.routes if isinstance(each, APIRoute)]
    found = {m for each in routes if each.path_regex.match(path) for m in each.methods or ()}
    return sorted(found) or ["GET", "HEAD"]
