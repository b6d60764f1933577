"""The application behind a socket, and its end: first drained, then cancelled."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from swin2sr_core.errors import InputError

from .app import create_app
from .connection import Connection
from .local_pool import LocalPool
from .logs import start_logging
from .pool import Pool
from .settings import Settings
from .spool import Spool

_POLL_SECONDS = 0.05
_KEEP_ALIVE_SECONDS = 75  # longer than a proxy's (nginx: 60), which would meet closed connections


class Server(uvicorn.Server):
    """uvicorn's, with our way to stop: a signal drains, a second one cancels."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        app = create_app(settings, pool_of(settings))
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection.waiting(settings.reading.idle),
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=5,
            )
        )
        self._app, self._desk, self._tell = app, app.state.desk, tell
        self._drain = settings.drain
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn calls this for SIGINT and SIGTERM."""
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        dispatcher = self._desk.dispatcher
        if dispatcher.draining:
            self._tell("cancelling what runs")
            dispatcher.cancel_all()
            self.should_exit = True
            return
        dispatcher.draining = True
        if (jobs := getattr(self._app.state, "jobs", None)) is not None:
            jobs.pause()
        self._tell(f"finishing what runs, for at most {self._drain:g} seconds; again to cancel")
        self._draining = asyncio.create_task(self._drained())

    async def _drained(self) -> None:
        dispatcher, loop = self._desk.dispatcher, asyncio.get_running_loop()
        end = loop.time() + self._drain
        while (dispatcher.running or dispatcher.waiting) and loop.time() < end:
            await asyncio.sleep(_POLL_SECONDS)
        dispatcher.cancel_all()
        self.should_exit = True


def pool_of(settings: Settings) -> Pool:
    """Workers on this machine, or on a cluster."""
    if settings.ray is not None:
        from ..ray import ray_pool

        return ray_pool(
            settings.ray,
            settings.sources,
            settings.precision,
            settings.devices[0],
            len(settings.devices),
            settings.max_memory,
        )
    threads = {} if settings.threads is None else {"OMP_NUM_THREADS": str(settings.threads)}
    return LocalPool(
        settings.devices,
        settings.sources,
        settings.precision,
        threads,
        settings.spare,
        settings.max_memory,
    )


def bound(host: str, port: int) -> socket.socket:
    """A listening socket, so that a port in use is told before anything is loaded.

    Raises InputError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once, not when the last packet is acknowledged, on sockets that say TCP
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would let two servers share a port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port"
        ) from error
    return listening


def serve(settings: Settings, listening: socket.socket, tell: Callable[[str], None]) -> None:
    """Until a signal ends it."""
    start_logging(settings.log_level)
    spool = Spool(settings.spool, settings.quota, settings.keep)
    with spool.held():
        server = Server(settings, tell)
        host, port = listening.getsockname()[:2]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        asyncio.run(server.serve([listening]))
