"""The pack as ComfyUI finds it: entry point, folders, and an import that is quick and quiet."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Loads the pack where neither the repository nor the network can be reached by other means.
LOADER = """
import importlib.util, json, socket, sys, tempfile
from pathlib import Path
import torch, numpy, PIL.Image, safetensors.torch, einops

def refuse(*_):
    raise OSError("the network was touched")

socket.socket.connect = socket.getaddrinfo = refuse
name, root = "some/folder_x_d/with spaces", sys.argv[1]
sys.path.insert(0, root)
from swin2sr_headless import comfy_stub as stub

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("swin2sr_core", "swin2sr_headless", "swin2sr_pack"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.path.remove(root)
sys.meta_path.insert(0, NotInstalled())
for module in [m for m in sys.modules if m.startswith("swin2sr_")]:
    del sys.modules[module]
with tempfile.TemporaryDirectory() as base, stub.installed(Path(base)):
    spec = importlib.util.spec_from_file_location(
        name, root + "/__init__.py", submodule_search_locations=[root]
    )
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    modules = sorted(m for m in sys.modules if m == "nodes" or m.startswith("swin2sr_core"))
    print(json.dumps({"modules": modules, "web": module.WEB_DIRECTORY}))
"""


@pytest.fixture(scope="module")
def imported() -> dict:
    """The pack in a Python of its own, with an isolated path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(
        [sys.executable, "-I", "-c", LOADER, str(ROOT)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT.parent,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return json.loads(result.stdout)


def test_it_loads_under_any_name_with_relative_imports_only(imported):
    assert imported["modules"] == []


@pytest.mark.parametrize("name", ["__init__", "swin2sr_checkout"])
def test_tools_that_import_the_folder_are_not_in_the_way(name):
    """pytest does: as a module alone where the folder is called swin2sr-0.1.0, else a package."""
    code = (
        "import importlib.util, sys\n"
        "place, name = sys.argv[1:]\n"
        "found = None if name == '__init__' else [place]\n"
        "spec = importlib.util.spec_from_file_location(\n"
        "    name, place + '/__init__.py', submodule_search_locations=found)\n"
        "module = sys.modules[name] = importlib.util.module_from_spec(spec)\n"
        "if name == '__init__': module.__package__ = ''\n"
        "spec.loader.exec_module(module)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_web_folder_exists_and_is_named_once(imported):
    assert (ROOT / imported["web"]).is_dir()
    assert "web" not in _tool_comfy()


def _tool_comfy() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return text.partition("[tool.comfy]")[2].partition("\n[")[0]


def test_the_manager_can_read_the_node_ids_from_the_source(node_list):
    """ComfyUI-Manager does not run the code: it looks for these literals."""
    found = set()
    for path in (ROOT / "nodes").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if re.search(r"^class \w+\(io\.ComfyNode\):", source, re.MULTILINE):
            found |= set(re.findall(r'io\.Schema\(\s*node_id="(\w+)"', source))
    assert found == {node.GET_SCHEMA().node_id for node in node_list}


def test_models_swin2sr_is_known_and_users_folders_stay(pack, base, tmp_path):
    folder_paths = pack("nodes.host").folder_paths
    kind = folder_paths.folder_names_and_paths["swin2sr"]
    assert kind[0][0] == str(base / "models" / "swin2sr")
    assert {".safetensors", ".pth"} <= kind[1]
    folder_paths.add_model_folder_path("swin2sr", str(tmp_path))
    try:
        pack("nodes.host").register_model_folder()
        assert kind[0] == [str(base / "models" / "swin2sr"), str(tmp_path)]
    finally:
        kind[0].remove(str(tmp_path))
