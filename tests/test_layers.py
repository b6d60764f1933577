"""Layers point one way: the core knows neither ComfyUI nor the nodes; imports lead downwards."""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "swin2sr_core"
PACKAGES = ("swin2sr_core", "swin2sr_headless", "nodes", "training")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
CORE_FILES = [path for path in FILES if path.is_relative_to(CORE)]

BASE = {"errors", "units", "progress", "sentences", "temporary"}
LAYERS = {
    "sentences": set(),
    "errors": {"sentences"},
    "temporary": set(),
    "units": set(),
    "progress": {"errors"},
    "network": BASE,
    "planning": BASE | {"network"},
    "machine": BASE | {"planning"},
    "transport": BASE,
    "prepared": BASE | {"network", "planning", "machine"},
    "kernels": BASE | {"network", "planning", "machine", "prepared"},
    "export": BASE | {"network", "planning", "machine", "prepared"},
    "models": BASE
    | {"network", "planning", "machine", "prepared", "kernels", "export", "transport"},
    "pictures": BASE | {"network", "planning", "machine"},
}
LAYERS["engine"] = {*LAYERS, *BASE}
LAYERS["faces"] = {*LAYERS}
LAYERS["picture_job"] = {*LAYERS}
LAYERS["core"] = {*LAYERS}  # the public names
LAYERS["swin2sr_headless"] = {*LAYERS, "nodes"}
LAYERS["nodes"] = {*LAYERS} - {"swin2sr_headless", "nodes"}
LAYERS["training"] = {*LAYERS} - {"nodes", "training"}
"""What each room may import. Nothing imports one that stands further down here."""

SHIMS = (CORE / "headless.py", CORE / "__main__.py")
"""Public names from before the command line had a package of its own."""

HOST = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "server", "nodes"}
"""ComfyUI's modules, and the pack's own nodes, which have the name of one of them."""


def imports(source: str, package: str) -> Iterator[str]:
    """Every module that is imported, absolute, in functions and behind conditions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield str(first.value)


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parts[:-1])


def module_of(path: Path) -> str:
    """The dotted name; a package's own file has the package's."""
    return f"{package_of(path)}.{path.stem}".removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    return set(imports(path.read_text(encoding="utf-8"), package_of(path)))


def test_there_is_something_to_look_at():
    names = {path.relative_to(ROOT).as_posix() for path in FILES}
    assert {"swin2sr_core/engine/passes.py", "swin2sr_headless/cli/main.py"} <= names


def room_of(module: str) -> str | None:
    """The package that a module lies in, as the table below names it; None for other projects."""
    top, *rest = module.split(".")
    if top == "swin2sr_core":
        return rest[0] if rest and rest[0] in LAYERS else "core"
    return "nodes" if top == "nodes" else top if top in LAYERS else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_lead_downwards(path):
    """The table above, file by file. What only type checkers import counts too."""
    if path in SHIMS:
        return
    room = room_of(module_of(path)) or "?"
    used = {room_of(name) for name in imports_of(path)} - {None, room}
    assert used <= LAYERS[room], f"{room} may not import {sorted(used - LAYERS[room])}"


@pytest.mark.parametrize("folder", sorted({p.parent for p in FILES}), ids=str)
def test_no_circle_within_a_room(folder):
    """Every file of a room can be read after those that it imports."""
    files = {module_of(path): path for path in folder.glob("*.py") if path.name != "__init__.py"}
    graph = {name: imports_of(path) & set(files) - {name} for name, path in files.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize(
    "source",
    [
        "import comfy",
        "import comfy.utils as u",
        "from comfy_api.latest import io",
        "def f():\n    import folder_paths",
        "try:\n    from server import PromptServer\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('comfy.model_management')",
        "__import__('folder_paths')",
        "import os, server",
    ],
)
def test_an_import_of_the_host_would_be_found(source):
    assert {name.partition(".")[0] for name in imports(source, "swin2sr_core")} & HOST


@pytest.mark.parametrize(
    "source", ["from .server import x", "from . import nodes", "comfy = 1", "'import comfy'"]
)
def test_what_only_sounds_like_the_host_is_let_through(source):
    assert not {name.partition(".")[0] for name in imports(source, "swin2sr_core")} & HOST


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_the_core_never_imports_the_host(path):
    found = {name for name in imports_of(path) if name.partition(".")[0] in HOST}
    assert not found


def test_nothing_is_printed_outside_the_command_line():
    for path in CORE_FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert not [node for node in calls if getattr(node.func, "id", "") == "print"], path


PLANNING = """
import sys
import swin2sr_core as s2
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.planning import budget, picture_plan
config = Swin2SRConfig(3, 60, (6,), (6,), 8, 120, 4, "pixelshuffledirect", "1conv", 1.0)
print(s2.plan_upscale(config, 512, 512, strategy="tiled", device_type="cuda").forecast_bytes)
settings = picture_plan.PictureSettings(edge="wrap", max_input_side=300)
prospect = picture_plan.Prospect(config, "int8", "cuda", True)
print(picture_plan.plan_picture(prospect, 512, 512, settings, budget.Room(1 << 30)).plan)
"""

SERVICE = "import swin2sr_headless.service.server, swin2sr_headless.service.gate_process"

WITHOUT_TORCH = {
    "planning": ["-c", PLANNING + "assert 'torch' not in sys.modules, 'torch'"],
    "help": ["-X", "importtime", "-m", "swin2sr_core", "--help"],
    "models": ["-X", "importtime", "-m", "swin2sr_core", "models", "list"],
    "plan": ["-X", "importtime", "-m", "swin2sr_core", "plan", "512x512", "--device", "cpu"],
    "the service's app and gate": ["-X", "importtime", "-c", SERVICE],
}


@pytest.mark.parametrize("arguments", WITHOUT_TORCH.values(), ids=WITHOUT_TORCH.keys())
def test_what_is_only_asked_needs_no_torch(arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT.anchor,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {name for name in imported if name.partition(".")[0] == "torch"}


def test_nothing_is_unpickled():
    """Only `torch.load(..., weights_only=True)`: pickles run code."""
    for path in CORE_FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert given.get("weights_only") == "True", path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("pickle.load", "pickle.loads"), path


def test_the_whole_core_loads_without_the_host():
    """In a process of its own, with the host's names made impossible to import."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in CORE_FILES
        if path.name not in ("__init__.py", "__main__.py")
        if path.parent.name != "card" or importlib.util.find_spec("triton")
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {sorted(HOST)}: sys.modules[name] = None\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "print('loaded', len(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT.anchor,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loaded")


def _environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
