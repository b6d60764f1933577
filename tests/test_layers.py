"""Layers point one way: the core knows neither ComfyUI nor the nodes; imports lead downwards."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "swin2sr_core"
FILES = sorted(CORE.rglob("*.py"))

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


def imports_of(path: Path) -> set[str]:
    return set(imports(path.read_text(encoding="utf-8"), package_of(path)))


def test_there_is_something_to_look_at():
    names = {path.name for path in FILES}
    assert {"__init__.py", "engine.py", "network.py", "plan.py", "cli.py"} <= names


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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_the_core_never_imports_the_host(path):
    if path == CORE / "headless" / "workflow" / "comfy_checkout.py":
        return  # it starts a ComfyUI in this process: that is its one purpose
    found = {name for name in imports_of(path) if name.partition(".")[0] in HOST}
    assert not found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_the_core_does_not_know_its_command_line(path):
    """headless -> core, never back; `python -m swin2sr_core` is the one way in."""
    inside = path.is_relative_to(CORE / "headless") or path.name == "__main__.py"
    found = {name for name in imports_of(path) if name.startswith("swin2sr_headless")}
    assert inside or not found


@pytest.mark.parametrize("name", ["config", "errors", "heads", "network", "padding", "windows"])
def test_the_network_knows_nothing_of_how_it_is_run(name):
    """What training uses stands below plans, engines, devices and files."""
    above = {"engine", "plan", "bands", "folding", "checkpoint", "devices", "model", "upscaling"}
    above |= {"images", "downloading", "catalog", "tiling", "memory", "costs"}
    used = {
        each.split(".")[1] for each in imports_of(CORE / f"{name}.py") if "swin2sr_core." in each
    }
    assert not used & above


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_nothing_is_printed_outside_the_command_line(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    printed = [node for node in calls if getattr(node.func, "id", "") == "print"]
    assert path.is_relative_to(CORE / "headless") or not printed


def test_nothing_is_unpickled():
    """Only `torch.load(..., weights_only=True)`: pickles run code."""
    for path in FILES:
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
        for path in FILES
        if path.name not in ("__init__.py", "__main__.py")
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
