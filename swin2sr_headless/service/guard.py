"""Before anything is read: who asks, from which page, and what every answer carries."""

from __future__ import annotations

import logging
import re
import secrets
import time

from prometheus_client import Counter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .answers import problem_answer
from .errors import Problem
from .settings import Settings

logger = logging.getLogger("swin2sr_headless.service.requests")

_LOCAL = frozenset(("localhost", "127.0.0.1", "[::1]"))
_OPEN = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/favicon.ico")
_OPEN_FOLDERS = ("/page/", "/web/", "/locales/", "/local/")
_SAFE = ("GET", "HEAD", "OPTIONS")
_PROBES = ("/healthz", "/readyz", "/metrics")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NUMBER = re.compile(r"[\w.-]{1,64}", re.ASCII)
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        access: Access | None,
        requests: Counter,
    ) -> None:
        self.app, self.settings, self.access, self.requests = app, settings, access, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, started, status = Headers(scope=scope), time.monotonic(), 0
        given = headers.get("x-request-id", "")
        number = given if _NUMBER.fullmatch(given) else secrets.token_hex(8)
        trace = _TRACE.fullmatch(headers.get("traceparent", ""))
        origin = headers.get("origin", "")

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.requests.labels(_method(scope), str(status)).inc()
                answer = MutableHeaders(scope=message)
                self._finish(answer, number, origin)
                if trace:
                    answer["traceparent"] = trace[0]
            await send(message)

        try:
            self._check(scope, headers)
            owner = self._owner(scope, headers)
        except Problem as problem:
            await problem_answer(problem)(scope, receive, answered)
        else:
            if scope["method"] == "OPTIONS" and origin in self.settings.cors:
                await answered({"type": "http.response.start", "status": 204, "headers": []})
                await answered({"type": "http.response.body", "body": b""})
            elif owner is None or self.access is None:
                await self.app(scope, receive, answered)
            else:
                with self.access.counted(owner, receive) as counted:
                    await self.app(scope, counted, answered)
        logger.log(
            logging.DEBUG if scope["path"] in _PROBES else logging.INFO,
            "request",
            extra={
                "request": number,
                "trace": trace and trace[1],
                "owner": scope.get("state", {}).get("owner"),
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "seconds": round(time.monotonic() - started, 4),
            },
        )

    def _finish(self, headers: MutableHeaders, number: str, origin: str) -> None:
        headers.update({**_HEADERS, "X-Request-Id": number})
        if origin and origin in self.settings.cors:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Headers"] = (
                "Authorization, X-API-Key, Content-Type, Idempotency-Key, Last-Event-ID, Prefer"
            )
            headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            headers["Access-Control-Expose-Headers"] = "X-Swin2SR-Report, Retry-After, Location"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            headers.add_vary_header("Origin")

    # -- checks --------------------------------------------------------------------------------

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises Problem 403."""
        self._check_host(headers.get("host", ""))
        if scope["method"] not in _SAFE:
            self._check_origin(headers)

    def _owner(self, scope: Scope, headers: Headers) -> str | None:
        """Whose key came with it; None where none is needed. Raises Problem 401, 403 or 429."""
        if self.access is None or (scope["method"] == "OPTIONS" and "origin" in headers):
            return None
        path, query = scope["path"], scope["query_string"].decode("ascii", "replace")
        if scope["method"] in _SAFE and (
            path in _OPEN or path.startswith(_OPEN_FOLDERS) or self.access.links.hold(path, query)
        ):
            return None
        owner = self.access.owner(headers)
        if scope["method"] == "POST":
            self.access.check_rate(owner)
        scope.setdefault("state", {})["owner"] = owner
        return owner

    def _check_host(self, host: str) -> None:
        """A name that leads here without being ours: a page that rebinds its own (DNS)."""
        name = re.sub(r":\d+$", "", host).lower()
        allowed = {*self.settings.allowed_hosts}
        if self.settings.loopback:
            allowed |= _LOCAL | {self.settings.host}
        if allowed and name not in allowed:
            raise Problem(403, "host", "this server is not called by that name; see --allowed-host")

    def _check_origin(self, headers: Headers) -> None:
        """A page of another's may not use its visitor's machine."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin in self.settings.cors:
            return
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise Problem(403, "origin", "pages of other sites may not use this server; see --cors")


def _method(scope: Scope) -> str:
    """One of a few, however strangers call theirs."""
    known = (*_SAFE, "POST", "DELETE", "PUT", "PATCH")
    return scope["method"] if scope["method"] in known else "OTHER"
