"""The page and what it shares with the nodes: their divider, its style and its words."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

_PAGE = Path(__file__).resolve().parent / "page"
_PACKAGES = Path(__file__).resolve().parents[2]


def add_to(app: FastAPI) -> None:
    """Serve it at /, its files under /page, and the nodes' under /web and /locales."""
    pack = _pack()
    for name, folder in (("page", _PAGE), ("web", pack / "web"), ("locales", pack / "locales")):
        app.mount(f"/{name}", StaticFiles(directory=folder))
    for path, answer in (("/", _index), ("/docs", _docs)):
        app.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)


def _pack() -> Path:
    """The node pack's folder: a package of its own where installed, the checkout else."""
    installed = _PACKAGES / "swin2sr_pack"
    return installed if installed.is_dir() else _PACKAGES


async def _index(_request: Request) -> Response:
    return FileResponse(_PAGE / "index.html")


async def _docs(_request: Request) -> Response:
    return FileResponse(_PAGE / "docs.html")
