"""Telling others that a job has ended: signed, tried again, and off the job's own way.

Signed as standardwebhooks.com describes: `webhook-signature: v1,BASE64` of the HMAC-SHA256 over
`ID.TIMESTAMP.BODY`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swin2sr_core.errors import InputError
from swin2sr_core.transport.client import ConnectionBroken, RedirectRefused, request

from .errors import Problem
from .job_store import Job, JobStore

logger = logging.getLogger(__name__)

TRIES = 5
_FIRST_PAUSE = 1.0
_TIMEOUT = 5.0
_PREFIX = "whsec_"


@dataclass
class Webhooks:
    """allowed: hosts ("name" or "name:port") that may be told; none are, otherwise."""

    store: JobStore
    allowed: Sequence[str]
    secret: bytes
    document: Callable[[Job], dict[str, Any]]
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def check(self, address: str) -> str:
        """The address. Raises Problem 422 where it may not be told."""
        try:
            parts = urlsplit(address)
            names = {parts.hostname, parts.netloc} if parts.scheme in ("http", "https") else set()
            fits = parts.username is None and not names.isdisjoint(self.allowed)
        except ValueError:
            fits = False
        if not fits:
            raise Problem(422, "webhook", "webhook: this host is not told; see --webhook-allow")
        return address

    def start(self) -> None:
        """Go on with what an earlier process left."""
        for job in self.store.untold():
            self.tell(job)

    def tell(self, job: Job) -> None:
        """Begin to tell that it has ended; nothing is raised, whatever comes of it."""
        if job.webhook is not None:
            task = asyncio.create_task(self._tell(job, job.webhook))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """What is not told yet, the next process tells."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, job: Job, address: str) -> None:
        body = json.dumps({"type": f"job.{job.state}", "data": self.document(job)}).encode()
        for number in range(TRIES):
            if number:
                await asyncio.sleep(_FIRST_PAUSE * 4 ** (number - 1))
            if problem := await asyncio.to_thread(
                _post, address, self._headers(job.id, body), body
            ):
                logger.warning("webhook of job %s, try %d: %s", job.id, number + 1, problem)
            else:
                break
        with contextlib.suppress(OSError):  # of a full disk: the next process tells again
            self.store.told(job.id)

    def _headers(self, number: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        signed = b".".join((number.encode(), now.encode(), body))
        digest = hmac.new(self.secret, signed, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": now,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }


def read_secret(path: Path) -> bytes:
    """A file's one line: `whsec_` and base64, or any text. Raises InputError."""
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
        secret = (
            base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            if text.startswith(_PREFIX)
            else text.encode()
        )
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise InputError(f"cannot read the secret in {path}: {error}") from error
    if len(secret) < 16:
        raise InputError(f"{path} holds {len(secret)} bytes; a secret has 16 or more")
    return secret


def _post(address: str, headers: dict[str, str], body: bytes) -> str | None:
    """What went wrong, if anything. Redirects are not followed."""
    try:
        with request(address, headers, _TIMEOUT, body=body) as response:
            status = response.reply.status
            return None if 200 <= status < 300 else f"it answered {status}"
    except (ConnectionBroken, RedirectRefused) as error:
        return str(error)
