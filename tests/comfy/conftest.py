"""The node pack, loaded as ComfyUI loads it: on the stand-in, or on a real ComfyUI.

With COMFYUI_DIR set to a ComfyUI checkout, and this Python having what it needs, the same tests run
against that. Everything of the project is reached through the pack, under whose name it is loaded:
`pack("nodes.load")` is the module; the repository need not be on sys.path.
"""

import asyncio
import importlib
import importlib.util
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import comfyui_server
import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
COMFYUI_DIR = os.environ.get("COMFYUI_DIR")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on many cores wait for one another more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ComfyUI's base directory: models, input, output."""
    folder = tmp_path_factory.mktemp("comfy")
    for name in ("custom_nodes", "input", "output", "models/swin2sr", "models/upscale_models"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def host(base: Path) -> Iterator[SimpleNamespace]:
    """`name` of the loaded pack, and `real`: whether it is on a real ComfyUI."""
    if COMFYUI_DIR:
        yield SimpleNamespace(name=_load_into_comfyui(Path(COMFYUI_DIR), base), real=True)
        return
    name = "a node pack"  # nobody may rely on the folder's name
    package = ModuleType(name)
    package.__path__ = [str(ROOT)]
    sys.modules[name] = package
    stub = importlib.import_module(f"{name}.swin2sr_headless.comfy_stub")
    with stub.installed(base):
        _execute(name)
        yield SimpleNamespace(name=name, real=False)


def _execute(name: str) -> None:
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _load_into_comfyui(checkout: Path, base: Path) -> str:
    sys.path.insert(0, str(checkout))
    sys.argv = [
        *("main.py", "--cpu", "--disable-all-custom-nodes", "--disable-api-nodes"),
        *("--base-directory", str(base), "--database-url", "sqlite:///:memory:"),
    ]
    importlib.import_module("comfy.options").enable_args_parsing()
    nodes = importlib.import_module("nodes")  # ComfyUI's
    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    assert asyncio.run(nodes.load_custom_node(str(ROOT), module_parent="custom_nodes"))
    return str(ROOT).replace(".", "_x_")


@pytest.fixture(scope="session")
def pack(host: SimpleNamespace, node_list):
    """("nodes.load") -> that module of the loaded pack, whose entry point has been called."""
    return lambda module: importlib.import_module(f"{host.name}.{module}")


@pytest.fixture(scope="session")
def node_list(host: SimpleNamespace) -> list[type]:
    """The node classes, as the extension lists them."""

    async def ask() -> list[type]:
        extension = await sys.modules[host.name].comfy_entrypoint()
        return await extension.get_node_list()

    return asyncio.run(ask())


@pytest.fixture(scope="session")
def load(node_list):
    """(model, precision) -> what Load Swin2SR gives."""
    return lambda model="compact-x4", precision="fp32": node_list[0].EXECUTE_NORMALIZED(
        model=model, precision=precision
    )[0]


DEFAULTS = {
    "scale": 4.0,
    "longest_side": 0,
    "sharpen": 0.0,
    "edge": "reflect",
    "strategy": "auto",
    "tile_size": 0,
    "overlap": 0,
    "max_memory": 0.0,
}


@pytest.fixture(scope="session")
def upscale(node_list):
    """(image, model, **widgets) -> image and report of Tiled Upscale x4."""

    def run(image, model, **widgets):
        output = node_list[1].EXECUTE_NORMALIZED(image=image, model=model, **(DEFAULTS | widgets))
        return output[0], output[1]

    return run


@pytest.fixture(scope="session")
def compact(load):
    """The bundled model in fp32."""
    return load()


@pytest.fixture(scope="session")
def make_picture():
    """(height, width, channels, batch, seed) -> B H W C of noise in 0..1."""

    def make(height, width, channels=3, batch=1, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(batch, height, width, channels, generator=generator)

    return make


@pytest.fixture
def put_model(pack, base: Path):
    """(name, folder, **config) -> a file there of a tiny random network, gone after the test."""
    made = []

    def put(name, folder="swin2sr", seed=0, **changes):
        config = pack("swin2sr_core.network.config").Swin2SRConfig(**{**TINY, **changes})
        torch.manual_seed(seed)
        network = pack("swin2sr_core.network.network").Swin2SR(config)
        path = base / "models" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file(network.state_dict(), path)
        else:
            torch.save({"params": network.state_dict()}, path)
        made.append(path)
        return path

    yield put
    for path in made:
        path.unlink(missing_ok=True)


TINY = {
    "in_channels": 3,
    "embed_dim": 12,
    "depths": (2,),
    "num_heads": (2,),
    "window": 8,
    "mlp_dim": 24,
    "scale": 2,
    "head": "pixelshuffledirect",
    "residual": "1conv",
    "img_range": 1.0,
}


@pytest.fixture
def bar_steps(pack) -> Iterator[list]:
    """Every step of the progress bars meanwhile: value, total, preview."""
    import comfy.utils

    steps = []
    comfy.utils.set_progress_bar_global_hook(
        lambda value, total, preview, **_: steps.append((value, total, preview))
    )
    yield steps
    comfy.utils.set_progress_bar_global_hook(None)


# -- a real ComfyUI ---------------------------------------------------------------------------


STAND_INS = Path(__file__).with_name("stand_ins.py")


@pytest.fixture(scope="session")
def server(host, base: Path) -> Iterator[str]:
    """The address of a real ComfyUI with this pack and the stand-ins, on the same base folder."""
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    shutil.copy(STAND_INS, base / "custom_nodes")
    with comfyui_server.running(base) as url:
        yield url


@pytest.fixture(scope="session")
def ask(server: str):
    """(path, document to post) -> status and JSON of the server's answer."""

    def ask(path, document=None):
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(server + path, data, {"Content-Type": "application/json"})
        try:
            with comfyui_server.OPENER.open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return ask


@pytest.fixture(scope="session")
def queue(ask):
    """(workflow in API format) -> what the nodes made, and which of them ran."""

    def run(workflow):
        _, answer = ask("/prompt", {"prompt": workflow})
        if "prompt_id" not in answer or answer["node_errors"]:
            error = json.dumps(answer.get("node_errors") or answer["error"])
            return SimpleNamespace(status="refused", error=error, ran=set())
        entry = _finished(ask, answer["prompt_id"])
        kinds = dict(entry["status"]["messages"])
        cached = set(kinds["execution_cached"]["nodes"])
        failed = kinds.get("execution_error", {})
        return SimpleNamespace(
            status=next(k for k in kinds if k not in ("execution_start", "execution_cached")),
            error=failed.get("exception_message", "").strip(),
            node=failed.get("node_id"),
            ran=set(workflow) - cached,
            outputs=entry["outputs"],
        )

    return run


def _finished(ask, prompt_id: str) -> dict:
    for _ in range(6000):
        _, history = ask(f"/history/{prompt_id}")
        if prompt_id in history:
            return history[prompt_id]
        time.sleep(0.02)
    raise TimeoutError("the workflow has not ended")


@pytest.fixture
def told(monkeypatch):
    """What is sent to the page meanwhile: (event, data, client)."""
    messages = []
    server = SimpleNamespace(
        client_id="page",
        sockets={"page": None},
        send_sync=lambda event, data, client: messages.append((event, data, client)),
    )
    module = SimpleNamespace(PromptServer=SimpleNamespace(instance=server))
    monkeypatch.setitem(sys.modules, "server", module)
    return messages
