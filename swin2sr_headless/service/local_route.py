"""What `?local=1` needs to upscale in the visitor's browser: onnxruntime-web, the model, headers.

The files are the operator's (`--local-assets`): they are 14 to 41 MB, of use to few, and Microsoft
publishes them; the wheel has none. Threads in WebAssembly need a page that is isolated from others.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swin2sr_core.errors import InputError
from swin2sr_core.export.contract import Contract
from swin2sr_core.export.onnx_file import read_onnx

MODEL = "model.onnx"
_WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_WEBGPU = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_TYPES = {
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}

_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
_COMPILING = "; script-src 'self' 'wasm-unsafe-eval'"
"""Of threads alone: a thread's policy is its script's, not the page's."""


def add_to(app: FastAPI, folder: Path) -> None:
    """Serve `folder` to pages with `?local=1`.

    Raises InputError where something is missing, CheckpointError for a model that is not ours.
    """
    contract = checked(folder)
    router = APIRouter(prefix="/local", include_in_schema=False)

    @router.get("/contract.json")
    async def told() -> Response:
        return JSONResponse(contract.to_dict())

    @router.get("/{name}")
    async def asset(name: str) -> Response:
        if name not in (MODEL, *_WASM, *_WEBGPU) or not (folder / name).is_file():
            raise HTTPException(404, "no such file")
        return FileResponse(folder / name, media_type=_TYPES[Path(name).suffix])

    app.include_router(router)
    app.add_middleware(LocalHeaders)


def checked(folder: Path) -> Contract:
    """The model's contract. Raises InputError or CheckpointError, as `add_to` does."""
    missing = [name for name in (*_WASM, MODEL) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"--local-assets {folder} lacks {', '.join(missing)}; it has to be the folder dist of "
            f"the npm package onnxruntime-web, with {MODEL} of `swin2sr export` in it"
        )
    contract = read_onnx(folder / MODEL).contract
    if (contract.channels, contract.size) != (3, "dynamic"):
        raise InputError(
            f"{MODEL} takes {contract.channels} channels and a size of {contract.size}; in the "
            "browser it must be 3 and dynamic: export a colour model without --size"
        )
    return contract


class LocalHeaders:
    """ASGI middleware around all others: isolation for the page, compiling for its threads."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Other answers pass as they are."""

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_ISOLATED)
                if thread:
                    headers["Content-Security-Policy"] += _COMPILING
            await send(message)

        path = scope.get("path", "")
        thread = path == "/page/local_worker.js" or path.startswith("/local/")
        page = path == "/" and b"local=1" in scope.get("query_string", b"").split(b"&")
        await self.app(scope, receive, answered if thread or page else send)
